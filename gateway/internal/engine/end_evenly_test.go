package engine

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/conn"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// endWatch is the writer of a stream and notes when it is told to end.
type endWatch struct{ note func() }

func (w *endWatch) Wake()                {}
func (w *endWatch) StartClosing()        { w.note() }
func (w *endWatch) Abort()               {}
func (w *endWatch) Peer() conn.PeerState { return conn.PeerState{} }

// scheduledEnds returns when each of n streams, in the order in which they were
// opened, is told to end by a drain over a window; ctx ends it.
func scheduledEnds(ctx context.Context, n int, window time.Duration) []time.Duration {
	ends := make([]time.Duration, n)
	sh := &shard{signal: make(chan struct{}, 1), streams: map[*Stream]struct{}{}}
	start := time.Now()
	for i := range n {
		s := &Stream{shard: sh}
		var w writer = &endWatch{func() { ends[i] = time.Since(start) }}
		ends[i] = -1
		s.writer.Store(&w)
		sh.streams[s] = struct{}{}
	}
	(&Engine{shards: []*shard{sh}}).EndEvenly(ctx, metrics.EndDrain, window)
	return ends
}

// Streams are told to end at even distances over the whole window, and not in
// the order in which they were opened.
func TestEndEvenly(t *testing.T) {
	for _, n := range []int{1, 2, 60, 5000} {
		synctest.Test(t, func(t *testing.T) {
			const window = 20 * time.Second
			ends := scheduledEnds(t.Context(), n, window)
			if n > 2 && slices.IsSorted(ends) {
				t.Errorf("%d streams end in the order in which they were opened", n)
			}
			slices.Sort(ends)
			for i, d := range ends {
				due := window * time.Duration(i) / time.Duration(n)
				// Those that are due within 5 ms end together.
				if d > due || d < due-5*time.Millisecond {
					t.Fatalf("%d of %d streams: the end is at %v, want %v", i+1, n, d, due)
				}
			}
		})
	}
}

// When time is up, the rest is not told: it is cut off all at once.
func TestEndEvenlyUntilTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window, n = 20 * time.Second, 100
		ctx, cancel := context.WithTimeout(t.Context(), window/4+window/n/2)
		defer cancel()
		told := 0
		for _, d := range scheduledEnds(ctx, n, window) {
			if d >= 0 {
				told++
			}
		}
		if told != n/4+1 {
			t.Errorf("%d of %d streams were told to end in a quarter of the window, want %d", told, n, n/4+1)
		}
	})
}
