package gateway

import (
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// checkLeaks fails the test if goroutines or descriptors are left when all that
// it starts after this call has been cleaned up.
func checkLeaks(t *testing.T) {
	goroutines := goleak.IgnoreCurrent()
	before := countDescriptors(t)
	t.Cleanup(func() {
		if err := redistest.Goroutines(goroutines); err != nil {
			t.Error(err)
		}
		redistest.Eventually(t, enginePatience, "the descriptors to be closed", func() bool {
			return countDescriptors(t) <= before
		})
	})
}

// countDescriptors returns how many descriptors the process has, one for the
// counting among them.
func countDescriptors(t testing.TB) int {
	t.Helper()
	names, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// A gateway that is made and never run has nothing that would have to end.
func TestNewWithoutRun(t *testing.T) {
	gateways := make([]*Gateway, 10)
	// After the check: the collector closes descriptors that nobody has, too.
	t.Cleanup(func() { runtime.KeepAlive(gateways) })
	checkLeaks(t)
	log := slog.New(slog.DiscardHandler)
	m := metrics.New(prometheus.NewRegistry(), metrics.Build{})
	for i := range gateways {
		gateways[i] = New(Config{Metrics: &m.Gateway, Log: log})
	}
}

// Clients that come to a new channel all at once, and leave, leave nothing of
// it behind.
func testComeAtOnce(t *testing.T, e *harness) {
	for round := range 20 {
		ch := channelOf(t) + ":" + strconv.Itoa(round)
		e.publish(ch, "x")
		var coming sync.WaitGroup
		for range 16 {
			coming.Go(func() {
				c, err := e.tryConnect(ch, clientSetup{})
				if err != nil {
					t.Error(err)
					return
				}
				c.leave()
			})
		}
		coming.Wait()
	}
	e.awaitConnections(0)
	redistest.Eventually(t, enginePatience, "nobody to be subscribed", func() bool {
		return valueOfMetric(e.m.Store.ChannelsActive) == 0
	})
}
