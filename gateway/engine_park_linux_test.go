package gateway

import (
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// A connection that waits has a descriptor, and no goroutine; after a broadcast
// to all of them, too.
func TestParkedConnectionsHaveNoGoroutine(t *testing.T) {
	checkLeaks(t)
	const n, others = 400, 40 // goroutines of keep-alives, the server and the store
	e := startEngine(t, redistest.Start(t), engineSetup{})
	ch := channelOf(t)
	first := e.connect(ch, clientSetup{}) // so that everything lazy has been made
	e.awaitConnections(1)
	goroutines, fds := runtime.NumGoroutine(), countDescriptors(t)

	clients := connectMany(e, ch, n)
	e.awaitConnections(n + 1)
	awaitGoroutines(t, goroutines+others)
	if got := countDescriptors(t) - fds; got < 2*n || got > 2*n+others {
		t.Errorf("%d connections have %d descriptors at both ends", n, got)
	}
	e.publishNumbers(ch, 0, 3, "x")
	for _, c := range clients {
		c.awaitMessages(3)
		c.checkNumbers(0, 3, "x")
	}
	e.awaitConnections(n + 1)
	awaitGoroutines(t, goroutines+others)

	for i, c := range clients {
		if i%2 == 0 {
			c.reset()
		} else {
			_ = c.conn.Close()
		}
	}
	e.awaitEnded(metrics.EndClient, n)
	e.awaitConnections(1)
	first.awaitMessages(3)
	e.stop()
}

// awaitGoroutines waits until there are at most so many goroutines.
func awaitGoroutines(t *testing.T, most int) {
	t.Helper()
	redistest.Eventually(t, enginePatience, "at most "+strconv.Itoa(most)+" goroutines", func() bool {
		return runtime.NumGoroutine() <= most
	})
}

// connectMany opens n streams, several at a time.
func connectMany(e *harness, channel string, n int) []*engineClient {
	e.t.Helper()
	clients := make([]*engineClient, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	const at = 16
	for first := range at {
		wg.Go(func() {
			for i := first; i < n; i += at {
				clients[i], errs[i] = e.tryConnect(channel, clientSetup{})
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			e.t.Fatalf("client %d: %v", i, err)
		}
	}
	return clients
}
