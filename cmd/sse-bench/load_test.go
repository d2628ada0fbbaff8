package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// underLoad is a run of the whole tool while a test does its worst.
type underLoad struct {
	t    *testing.T
	dir  string
	name string             // of the files in dir
	end  context.CancelFunc // stops publishing; the run then settles and judges
	done chan struct{}      // closed when the run is over

	progress progressLog
	out      bytes.Buffer // the report; readable once done is closed
	code     int          // the same
}

// progressLog keeps what the tool says while it runs.
type progressLog struct{ redistest.Output }

// last returns the values of the last progress line; ok is false before the
// first. from is a length of String before which lines do not count.
func (p *progressLog) last(from int) (connected, behind int, ok bool) {
	text := strings.TrimSuffix(p.String()[from:], "\n")
	line := text[strings.LastIndexByte(text, '\n')+1:]
	i, j := strings.Index(line, "connected "), strings.Index(line, "behind ")
	if i < 0 || j < 0 {
		return 0, 0, false
	}
	_, err1 := fmt.Sscan(line[i+len("connected "):], &connected)
	_, err2 := fmt.Sscan(line[j+len("behind "):], &behind)
	return connected, behind, err1 == nil && err2 == nil
}

// startLoad runs the tool until finish, and to the end of the test at most.
func (s *stage) startLoad(args ...string) *underLoad {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &underLoad{t: s.t, dir: s.dir, name: s.nameLoad(), end: cancel, done: make(chan struct{})}
	// The faults take as long as they take: finish ends the run.
	args = append([]string{"run", "-o", "json", "--duration", "1h", "--settle", "90s", "--ready-timeout", "90s"}, args...)
	go func() {
		defer close(l.done)
		l.code = run(ctx, args, nil, &l.out, &l.progress)
	}()
	s.t.Cleanup(func() {
		cancel()
		<-l.done
		l.save("progress"+l.name+".txt", []byte(l.progress.String()))
		l.save("verdict"+l.name+".json", l.out.Bytes())
	})
	return l
}

// nameLoad returns what tells the files of a load from those of others: nothing for
// the first.
func (s *stage) nameLoad() string {
	if s.loads++; s.loads == 1 {
		return ""
	}
	return fmt.Sprint("-", s.loads)
}

func (l *underLoad) save(name string, b []byte) {
	if err := os.WriteFile(filepath.Join(l.dir, name), b, 0o600); err != nil {
		l.t.Error(err)
	}
}

// await waits for a condition, and fails the test if the run ends before.
func (l *underLoad) await(what string, ok func() bool) {
	l.t.Helper()
	over := false
	err := until(patience, what, func() bool {
		select {
		case <-l.done:
			over = true
		default:
		}
		return over || ok()
	})
	if over {
		l.t.Fatalf("the run ended while waiting for: %s\n%s%s", what, l.progress.String(), &l.out)
	}
	if err != nil {
		l.t.Fatalf("%v\n%s", err, tailOf(l.progress.String(), 20))
	}
}

// awaitConnected waits until all subscribers have their streams.
func (l *underLoad) awaitConnected(subscribers int) {
	l.t.Helper()
	from := len(l.progress.String())
	l.await("all subscribers are connected", func() bool {
		connected, _, ok := l.progress.last(from)
		return ok && connected == subscribers
	})
}

// awaitDelivered waits until every event that is published has been delivered.
// It is for a time in which nothing is published.
func (l *underLoad) awaitDelivered() {
	l.t.Helper()
	from := len(l.progress.String())
	l.await("everything published is delivered", func() bool {
		_, behind, ok := l.progress.last(from)
		return ok && behind == 0
	})
}

// finish stops publishing, waits until the run is judged and returns its exit
// code and report.
func (l *underLoad) finish() (int, *report.Report) {
	l.t.Helper()
	l.end()
	<-l.done
	var r report.Report
	dec := json.NewDecoder(bytes.NewReader(l.out.Bytes()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		l.t.Fatalf("exit %d, no report: %v\n%s", l.code, err, l.progress.String())
	}
	i := &r.Integrity
	p := report.PublishReport{}
	if r.Publish != nil {
		p = *r.Publish
	}
	l.t.Logf("exit %d: published %d (%d errors), delivered %d; lost %d, repeated %d, out of order %d, gaps %v, reconnects %d, refused %v, faults %v, p99 %.0f ms",
		l.code, p.Events, p.Errors, r.Deliver.Events, i.Lost, i.Repeated, i.OutOfOrder, i.Gaps, i.Reconnects, i.Refusals, i.Faults, r.Latency.P99Ms)
	return l.code, &r
}

// requireIntact fails the test unless everybody got everything once, in order.
func (l *underLoad) requireIntact(code int, r *report.Report) {
	l.t.Helper()
	if code != exitOK || !r.Pass || !r.Integrity.Checked || r.Connect.Connected != r.Subscribers {
		l.t.Errorf("exit %d, checked %v, connected %d of %d, failures %q, examples %q",
			code, r.Integrity.Checked, r.Connect.Connected, r.Subscribers, r.Failures, r.Integrity.Examples)
	}
	if r.Publish == nil || r.Publish.Events == 0 {
		l.t.Error("nothing was published")
	}
}

// tailOf returns the last lines of a text.
func tailOf(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
