package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/client"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// progressSpy shows a test each line that the tool says while it runs.
type progressSpy struct {
	io.Writer
	saw func(line []byte)
}

func (s progressSpy) Write(p []byte) (int, error) {
	s.saw(p)
	return s.Writer.Write(p)
}

// What arrives after -settle is late and not lost, what does not arrive is lost
// and not late, and a stream that was opened anew is told from one that was
// there all the time.
func TestLateIsNotLost(t *testing.T) {
	t.Parallel()
	const settle = 8 * time.Second // on a busy machine it is enough for what is not held back
	r := redistest.Start(t)
	for _, tt := range []struct {
		name   string
		held   func(conn int64) bool // its last event is held back until -settle is over
		cut    bool                  // and its stream is cut then
		drop   bool                  // and the event never comes
		late   int64
		lost   int64
		remark string
	}{
		{"late", func(conn int64) bool { return conn == 3 }, false, false, 1, 0, "on a stream that was open"},
		{"late after a reconnect", func(conn int64) bool { return conn == 3 }, true, false, 1, 0, "on a stream opened since"},
		{"all late", func(conn int64) bool { return conn <= 12 }, false, false, 12, 0, "on a stream that was open"},
		{"lost", func(conn int64) bool { return conn == 3 }, false, true, 0, 1, "first lost 60 to 60"},
	} {
		for _, engine := range []string{client.EngineEpoll, client.EngineGoroutine} {
			t.Run(tt.name+" "+engine, func(t *testing.T) {
				t.Parallel()
				over := make(chan struct{})
				var holding atomic.Bool
				f := startFake(t, r, func(f *fakeServer) {
					f.mangle = func(conn int64, n int, frame string) []string {
						if n != 60 || !tt.held(conn) {
							return []string{frame}
						}
						holding.Store(true)
						<-over
						switch {
						case tt.drop:
							return []string{}
						case tt.cut:
							return nil
						}
						return []string{frame}
					}
				})
				release := sync.OnceFunc(func() { close(over) })
				t.Cleanup(release) // before the server is closed, which waits for its streams
				grace := "20s"
				if tt.drop {
					grace = "300ms"
				}
				var out, errOut bytes.Buffer
				args := withScenario(small(r, f.URL, "--settle", settle.String(), "--grace", grace, "--engine", engine))
				code := run(context.Background(), args, nil, &out, progressSpy{&errOut, func(line []byte) {
					if bytes.Contains(line, []byte("behind after --settle")) {
						release()
					}
				}})
				t.Logf("stderr:\n%s", &errOut)
				var rep report.Report
				if err := json.Unmarshal(out.Bytes(), &rep); err != nil {
					t.Fatal(err)
				}
				i := &rep.Integrity
				if code != exitFail || i.Late != tt.late || i.Lost != tt.lost || i.Repeated+i.OutOfOrder != 0 || i.Affected != tt.late+tt.lost {
					t.Fatalf("held %v, exit %d, %v, %+v", holding.Load(), code, rep.Failures, i)
				}
				if len(i.Examples) == 0 || !strings.Contains(i.Examples[0], tt.remark) {
					t.Errorf("examples %q lack %q", i.Examples, tt.remark)
				}
				// It was due before -settle began.
				if tt.late > 0 && (i.LateMaxMs < float64(settle.Milliseconds()) || rep.Latency.MaxMs < i.LateMaxMs) {
					t.Errorf("late by %v ms, latency %+v", i.LateMaxMs, rep.Latency)
				}
			})
		}
	}
}
