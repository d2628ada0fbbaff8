package gateway

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

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// dribble is how long a slow client takes for one write of the gateway: every
// one is in time, and all of a large event is not.
const dribble = 9 * farewellTimeout / 10

// slowResponse is a response whose client takes its time for each write.
type slowResponse struct {
	http.ResponseWriter
	deadline atomic.Pointer[time.Time]
}

func (w *slowResponse) SetWriteDeadline(t time.Time) error { w.deadline.Store(&t); return nil }
func (w *slowResponse) FlushError() error                  { return nil }
func (w *slowResponse) Write(p []byte) (int, error) {
	<-time.After(min(dribble, time.Until(*w.deadline.Load())))
	if !time.Now().Before(*w.deadline.Load()) {
		return 0, os.ErrDeadlineExceeded
	}
	return len(p), nil
}

// slowPipe is a connection whose client reads a chunk now and then.
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

// A stream that is told to end while it writes a large event to a slow client
// is over in time, however steadily the client takes it.
func TestLastCall(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) conn{
		"taken over": func(t *testing.T) conn { return newTakenConn(slowPipe(t), false) },
		"response": func(t *testing.T) conn {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			if err != nil {
				t.Fatal(err)
			}
			return newResponseConn(&slowResponse{}, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := open(t)
				const lead = 5*dribble + dribble/2
				time.AfterFunc(lead, c.hurry)
				start := time.Now()
				err := c.write(make([]byte, 1<<20), 30*time.Second, time.Time{})
				if took := time.Since(start); err == nil || took < lead || took > lead+farewellTimeout {
					t.Errorf("the write ended after %v with %v, want a time-out within %v after %v", took, err, farewellTimeout, lead)
				}
				// The farewell's time begins when it does.
				redistest.Pass(farewellTimeout)
				start = time.Now()
				c.farewell(make([]byte, 4*maxBatch))
				if took := time.Since(start); took < dribble || took > farewellTimeout {
					t.Errorf("the farewell took %v, want at most %v", took, farewellTimeout)
				}
				c.close()
			})
		})
	}
}
