package engine

import (
	"bytes"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/batch"
	"github.com/sse-gateway/sse-gateway/gateway/internal/conn"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// quickResponse is a response whose client takes everything at once, unless it is too
// late.
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

// responseOf returns the connection of a response.
func responseOf(t *testing.T, w http.ResponseWriter) *conn.Response {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn.NewResponse(w, r)
}

// quickClients are connections of every kind, with what their clients got.
var quickClients = map[string]func(t *testing.T) (connection, func() string){
	"hijacked": func(t *testing.T) (connection, func() string) {
		server, got := quickPipe(t)
		return conn.NewHijacked(server), got
	},
	"response": func(t *testing.T) (connection, func() string) {
		w := &quickResponse{}
		return responseOf(t, w), w.got.String
	},
}

// requireExpires runs a stream, as prepare makes it, to a quick client of every kind.
// It must end with its grant, and the client must get what begins with want and ends
// with end.
func requireExpires(t *testing.T, want, end string, prepare func(*Stream)) {
	t.Helper()
	for name, open := range quickClients {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, got := open(t)
				s := bareStream()
				prepare(s)
				if reason := s.writeLoop(c); reason != metrics.EndExpired {
					t.Errorf("the stream ended: %s", reason)
				}
				if all := got(); !strings.HasPrefix(all, want) || !strings.HasSuffix(all, end) {
					t.Errorf("the client got %q, want %q … %q", all, want, end)
				}
			})
		})
	}
}

// A quick client gets all of the event that was being written when the grant ended,
// and is told when to reconnect.
func TestEventAtTheEndOfTheGrant(t *testing.T) {
	requireExpires(t, "data: rest of an event\n\nretry: ", "\n", func(s *Stream) {
		s.life.ExpiresAt = time.Now().Add(-time.Millisecond).UnixNano()
		s.pending = &unsent{Output: batch.Plain([]byte("data: rest of an event\n\n"))}
	})
}

// A chunked body is finished when the grant ends.
func TestChunkedBodyEndsWithTheLastChunk(t *testing.T) {
	requireExpires(t, "17\r\ndata: rest of an event\n\n\r\n", "\n\r\n0\r\n\r\n", func(s *Stream) {
		s.chunked = true
		s.life.ExpiresAt = time.Now().Add(-time.Millisecond).UnixNano()
		s.pending = &unsent{Output: batch.Plain([]byte("17\r\ndata: rest of an event\n\n\r\n"))}
	})
}

// A stream that is given a goroutine gets its heartbeat when it would have got it.
func TestHeartbeatOfOneThatWasParked(t *testing.T) {
	requireExpires(t, sse.Heartbeat+"retry: ", "\n", func(s *Stream) {
		s.heartbeatAt = reactor.Nanos(time.Now().Add(time.Second))
		s.life.ExpiresAt = time.Now().Add(2 * time.Second).UnixNano()
	})
}

// A client that takes nothing has until the end of the grant, and at least
// conn.CloseGrace.
func TestWriteAtTheEndOfTheGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		for _, lead := range []time.Duration{-time.Second, 0, time.Millisecond, 20 * time.Second} {
			c, s := conn.NewHijacked(server), bareStream()
			start := time.Now()
			s.life.ExpiresAt = start.Add(lead).UnixNano()
			s.pending = &unsent{Output: batch.Plain([]byte("x"))}
			s.bound(c, start)
			_, err := s.step(c)
			if took, want := time.Since(start), max(lead, conn.CloseGrace); !os.IsTimeout(err) || took != want {
				t.Errorf("a write %v before the end failed after %v, want %v: %v", lead, took, want, err)
			}
			if reason := s.reasonOf(err); reason != metrics.EndExpired {
				t.Errorf("the stream ended: %s", reason)
			}
		}
	})
}

// A stream that is cut ends at once, whatever it is doing, and is counted as cut.
func TestCutEndsAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		c, s := conn.NewHijacked(server), bareStream()
		s.pending = &unsent{Output: batch.Plain(make([]byte, 1<<20))}
		time.AfterFunc(time.Second, func() { s.cut(c) })
		start := time.Now()
		if reason := s.writeLoop(c); reason != metrics.EndWriteTimeout {
			t.Errorf("the stream ended: %s", reason)
		}
		if took := time.Since(start); took > time.Second+time.Millisecond {
			t.Errorf("it ended after %v", took)
		}
		c.Close()
	})
}

// A connection that the system does not watch was lost by the gateway, not left by its
// client.
func TestLostConnection(t *testing.T) {
	s := bareStream()
	s.shard.env.streams.Add(1)
	s.fd = math.MaxInt32 // none has that
	s.shard.park(s)
	if n := valueOf(s.shard.env.cfg.Metrics.Disconnects.WithLabelValues(metrics.EndWriteError)); n != 1 {
		t.Errorf("%d connections are counted as lost, want 1", n)
	}
}
