package gateway

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// quickResponse is a response whose client takes everything at once, unless it
// is too late.
type quickResponse struct {
	http.ResponseWriter
	deadline time.Time
	got      bytes.Buffer
}

func (w *quickResponse) SetWriteDeadline(t time.Time) error { w.deadline = t; return nil }
func (w *quickResponse) FlushError() error                  { return nil }
func (w *quickResponse) Write(p []byte) (int, error) {
	if !w.deadline.IsZero() && !time.Now().Before(w.deadline) {
		return 0, os.ErrDeadlineExceeded
	}
	return w.got.Write(p)
}

// quickPipe is a connection whose client takes everything at once.
func quickPipe(t *testing.T) (server net.Conn, got func() string) {
	server, client := net.Pipe()
	all := make(chan string)
	go func() {
		b, err := io.ReadAll(client)
		if err != nil {
			t.Error(err)
		}
		all <- string(b)
	}()
	return server, func() string { server.Close(); return <-all }
}

// quickClients are connections of every kind, with what their clients got.
var quickClients = map[string]func(t *testing.T) (conn, func() string){
	"taken over": func(t *testing.T) (conn, func() string) {
		server, got := quickPipe(t)
		return newTakenConn(server, false), got
	},
	"response": func(t *testing.T) (conn, func() string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		w := &quickResponse{}
		return newResponseConn(w, r), w.got.String
	},
}

// bareStream is a stream without channels, of a gateway that does not run.
func bareStream() *stream {
	g := New(Config{
		Heartbeat: 15 * time.Second, Retry: time.Second, WriteTimeout: 30 * time.Second,
		Metrics: &metrics.New(prometheus.NewRegistry(), metrics.Build{}).Gateway, Log: slog.New(slog.DiscardHandler),
	})
	return &stream{g: g, shard: g.hub.shards[0]}
}

// requireDriven drives a stream, as prepare makes it and beginning with the rest
// that it returns, to a quick client of every kind. It has to end with its grant,
// and the client to get what begins with want.
func requireDriven(t *testing.T, want string, prepare func(*stream) (rest string)) {
	t.Helper()
	for name, open := range quickClients {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, got := open(t)
				s := bareStream()
				defer s.g.cancel()
				rest := prepare(s)
				if reason := s.drive(c, []byte(rest)); reason != metrics.EndExpired {
					t.Errorf("the stream ended: %s", reason)
				}
				if all := got(); !strings.HasPrefix(all, want) {
					t.Errorf("the client got %q, want %q and more", all, want)
				}
			})
		})
	}
}

// A client that is quick gets all of the event that was being written when the
// grant ended, and is told when to come back.
func TestEventAtTheEndOfTheGrant(t *testing.T) {
	requireDriven(t, "data: rest of an event\n\nretry: ", func(s *stream) string {
		s.grantEnd = time.Now().Add(-time.Millisecond).UnixNano()
		s.large = []byte("of an event\n\n")
		return "data: rest "
	})
}

// Events that are found at the end of a grant are kept back.
func TestNothingBeginsAfterTheGrant(t *testing.T) {
	requireDriven(t, "retry: ", func(s *stream) string {
		s.page = &page{entries: []store.Entry{{Kind: store.KindTooLarge, Frame: []byte("data: late\n\n")}}}
		s.grantEnd = time.Now().UnixNano()
		return ""
	})
}

// A client that takes nothing is not given more time because its grant ends.
func TestWriteAtTheEndOfTheGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		for _, lead := range []time.Duration{-time.Second, 0, time.Millisecond, 20 * time.Second, time.Minute} {
			c, s := newTakenConn(server, false), bareStream()
			start := time.Now()
			s.grantEnd = start.Add(lead).UnixNano()
			err := s.writeWithLarge(c, []byte("x"))
			want := min(max(lead, farewellTimeout), s.g.cfg.WriteTimeout)
			if took := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || took != want {
				t.Errorf("a write %v before the end failed after %v, want %v: %v", lead, took, want, err)
			}
			s.g.cancel()
		}
	})
}
