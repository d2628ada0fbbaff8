package tally

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// Publishers may choose ids of their own, which have no time in them.
func TestLatencyOfStrangeIDs(t *testing.T) {
	m := metrics.New(prometheus.NewRegistry(), metrics.Build{})
	now := time.Now()
	for _, ms := range []uint64{0, 1, 1 << 62, 1 << 63, math.MaxInt64, math.MaxUint64, uint64(now.UnixMilli()) - math.MaxInt64/uint64(time.Millisecond) - 1} {
		var y Tally
		of := m.Gateway.Namespaces.Of("a")
		y.Event(of, store.ID{Ms: ms}, true)
		y.Count(1, now)
		if _, _, n := of.DeliveryLatency.Cumulative(); n != 0 {
			t.Fatalf("the id %d counts as a latency", ms)
		}
	}
}
