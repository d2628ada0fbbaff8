package engine

import (
	"bytes"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
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
func responseOf(t *testing.T, w http.ResponseWriter) *responseConn {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return newResponseConn(w, r)
}

// quickClients are connections of every kind, with what their clients got.
var quickClients = map[string]func(t *testing.T) (conn, func() string){
	"hijacked": func(t *testing.T) (conn, func() string) {
		server, got := quickPipe(t)
		return newHijackedConn(server, false), got
	},
	"response": func(t *testing.T) (conn, func() string) {
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
		s.life.expiresAt = time.Now().Add(-time.Millisecond).UnixNano()
		s.pending = &output{own: []byte("data: rest "), large: []byte("of an event\n\n")}
	})
}

// A chunked body is finished when the grant ends.
func TestChunkedBodyEndsWithTheLastChunk(t *testing.T) {
	requireExpires(t, "17\r\ndata: rest of an event\n\n\r\n", "\n\r\n0\r\n\r\n", func(s *Stream) {
		s.chunked = true
		s.life.expiresAt = time.Now().Add(-time.Millisecond).UnixNano()
		s.pending = &output{own: []byte("17\r\ndata: rest "), large: []byte("of an event\n\n"), end: endOfChunk}
	})
}

// Events that are found at the end of a grant are not sent.
func TestNothingBeginsAfterTheGrant(t *testing.T) {
	requireExpires(t, "retry: ", "\n", func(s *Stream) {
		s.page = &page{entries: []store.Entry{{Kind: store.KindTooLarge, Frame: []byte("data: late\n\n")}}}
		s.life.expiresAt = time.Now().UnixNano()
	})
}

// A stream that is given a goroutine gets its heartbeat when it would have got it.
func TestHeartbeatOfOneThatWasParked(t *testing.T) {
	requireExpires(t, sse.Heartbeat+"retry: ", "\n", func(s *Stream) {
		s.channels = s.one[:0]
		s.heartbeatAt = reactor.Nanos(time.Now().Add(time.Second))
		s.life.expiresAt = time.Now().Add(2 * time.Second).UnixNano()
	})
}

// Nor does it change the heartbeat that the goroutine ends, unless something was
// written.
func TestHeartbeatOfOneThatIsParkedAgain(t *testing.T) {
	for pending, want := range map[string]time.Duration{"": time.Second, sse.Heartbeat: 15 * time.Second * 8 / 10} {
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			defer server.Close()
			go client.Read(make([]byte, 10))
			s := bareStream()
			now := time.Now()
			s.heartbeatAt = reactor.Nanos(now.Add(time.Second))
			s.pending = &output{own: []byte(pending)}
			if pending == "" {
				s.pending = nil
			}
			if reason := s.writeLoop(newHijackedConn(server, true)); reason != "" {
				t.Fatalf("the stream ended: %s", reason)
			}
			if left := reactor.Time(s.heartbeatAt).Sub(now); left < want || left > want*3/2 {
				t.Errorf("after %q the heartbeat is due in %v, want %v", pending, left, want)
			}
		})
	}
}

// A client that takes nothing has until the end of the grant, and at least
// closeGrace.
func TestWriteAtTheEndOfTheGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		for _, lead := range []time.Duration{-time.Second, 0, time.Millisecond, 20 * time.Second} {
			c, s := newHijackedConn(server, false), bareStream()
			start := time.Now()
			s.life.expiresAt = start.Add(lead).UnixNano()
			s.pending = &output{own: []byte("x")}
			_, err := s.stepBlocking(c)
			if took, want := time.Since(start), max(lead, closeGrace); !os.IsTimeout(err) || took != want {
				t.Errorf("a write %v before the end failed after %v, want %v: %v", lead, took, want, err)
			}
			if reason := s.reasonOf(err); reason != metrics.EndExpired {
				t.Errorf("the stream ended: %s", reason)
			}
		}
	})
}

// dribble is how long a slow client takes for one write of the engine: every one is in
// time, and all of a large event is not.
const dribble = 9 * closeGrace / 10

// slowResponse is a response whose client takes its time for each write.
type slowResponse struct {
	http.ResponseWriter
	deadline atomic.Pointer[time.Time]
}

func (w *slowResponse) SetWriteDeadline(t time.Time) error { w.deadline.Store(&t); return nil }
func (w *slowResponse) FlushError() error                  { return nil }
func (w *slowResponse) Write(p []byte) (int, error) {
	end := time.Now().Add(dribble)
	for time.Now().Before(end) {
		if d := w.deadline.Load(); d != nil && !d.IsZero() && !time.Now().Before(*d) {
			return 0, os.ErrDeadlineExceeded
		}
		<-time.After(time.Millisecond)
	}
	return len(p), nil
}

// slowPipe is a connection whose client reads a part now and then.
func slowPipe(t *testing.T) net.Conn {
	server, client := net.Pipe()
	var reader sync.WaitGroup
	t.Cleanup(func() { client.Close(); reader.Wait() })
	reader.Go(func() {
		buf := make([]byte, maxBatch)
		for {
			<-time.After(dribble)
			if _, err := io.ReadFull(client, buf); err != nil {
				return
			}
		}
	})
	return server
}

// A stream that is told to end while it writes a large event to a slow client is over
// in closeGrace, however steadily the client takes it.
func TestCloseGrace(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) conn{
		"hijacked": func(t *testing.T) conn { return newHijackedConn(slowPipe(t), false) },
		"response": func(t *testing.T) conn { return responseOf(t, &slowResponse{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := open(t)
				const lead = 5*dribble + dribble/2
				time.AfterFunc(lead, c.startClosing)
				start := time.Now()
				_, err := c.write(make([]byte, 4<<20))
				if took := time.Since(start); err == nil || took < lead || took > lead+closeGrace+time.Millisecond {
					t.Errorf("the write ended after %v with %v, want a time-out within %v after %v", took, err, closeGrace, lead)
				}
				c.close()
			})
		})
	}
}

// A stream that is cut ends at once, whatever it is doing, and is counted as cut.
func TestCutEndsAWrite(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) conn{
		"hijacked": func(t *testing.T) conn {
			server, client := net.Pipe()
			t.Cleanup(func() { client.Close() })
			return newHijackedConn(server, false)
		},
		"response": func(t *testing.T) conn { return responseOf(t, &slowResponse{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := open(t), bareStream()
				s.pending = &output{own: make([]byte, 1<<20)}
				time.AfterFunc(time.Second, func() { s.cut(c) })
				start := time.Now()
				if reason := s.writeLoop(c); reason != metrics.EndWriteTimeout {
					t.Errorf("the stream ended: %s", reason)
				}
				if took := time.Since(start); took > time.Second+time.Millisecond {
					t.Errorf("it ended after %v", took)
				}
				c.close()
			})
		})
	}
}

// A connection that the system cannot give back to a goroutine was lost by the
// gateway, not left by its client.
func TestLostConnection(t *testing.T) {
	s := bareStream()
	s.shard.env.streams.Add(1)
	s.fd = math.MaxInt32 // none has that
	s.resumeBlocking(true)
	if n := valueOf(s.shard.env.cfg.Metrics.Disconnects.WithLabelValues(metrics.EndWriteError)); n != 1 {
		t.Errorf("%d connections are counted as lost, want 1", n)
	}
}
