package conn

import (
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// responseOf returns the connection of a response.
func responseOf(t *testing.T, w http.ResponseWriter) *Response {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return NewResponse(w, r)
}

// dribble is how long a slow client takes for one write of the engine: every one is in
// time, and all of a large event is not.
const dribble = 9 * CloseGrace / 10

// slowResponse is a response whose client takes its time for each write.
type slowResponse struct {
	http.ResponseWriter
	pause    time.Duration
	deadline atomic.Pointer[time.Time]
}

func (w *slowResponse) SetWriteDeadline(t time.Time) error { w.deadline.Store(&t); return nil }
func (w *slowResponse) FlushError() error                  { return nil }
func (w *slowResponse) Write(p []byte) (int, error) {
	end := time.Now().Add(w.pause)
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
		buf := make([]byte, 64<<10)
		for {
			<-time.After(dribble)
			if _, err := io.ReadFull(client, buf); err != nil {
				return
			}
		}
	})
	return server
}

// client is what both kinds of connections are.
type client interface {
	StartClosing()
	Abort()
	Write(p []byte) (int, error)
	Close()
}

// slowClients are connections of every kind, whose clients are slow.
var slowClients = map[string]func(t *testing.T) client{
	"hijacked": func(t *testing.T) client { return NewHijacked(slowPipe(t)) },
	"response": func(t *testing.T) client { return responseOf(t, &slowResponse{pause: dribble}) },
}

// A stream that is told to end while it writes a large event to a slow client is over
// in CloseGrace, however steadily the client takes it.
func TestCloseGrace(t *testing.T) {
	for name, open := range slowClients {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := open(t)
				const lead = 5*dribble + dribble/2
				time.AfterFunc(lead, c.StartClosing)
				start := time.Now()
				_, err := c.Write(make([]byte, 4<<20))
				if took := time.Since(start); err == nil || took < lead || took > lead+CloseGrace+time.Millisecond {
					t.Errorf("the write ended after %v with %v, want a time-out within %v after %v", took, err, CloseGrace, lead)
				}
				c.Close()
			})
		})
	}
}

// A connection that is aborted ends its write at once.
func TestAbortEndsAWrite(t *testing.T) {
	for name, open := range slowClients {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := open(t)
				time.AfterFunc(time.Second, c.Abort)
				start := time.Now()
				_, err := c.Write(make([]byte, 4<<20))
				if took := time.Since(start); err == nil || took > time.Second+time.Millisecond {
					t.Errorf("the write ended after %v with %v", took, err)
				}
				c.Close()
			})
		})
	}
}
