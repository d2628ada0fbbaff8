package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/topology"
)

// pageMost is the most entries that one page of history has.
var pageMost = redisstream.PageEntries(1)

// TestFarReaders asks for entries that are many pages back while two others do:
// that waits, and what is near does not.
func TestFarReaders(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	ids := fill(t, srv.Client(), "sse:a", 2*pageMost, short)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowEvents = 4 })
	r := s.subscribe(t, "a")
	others, far := int64(2), pageMost+100
	if err := s.longScans.Acquire(t.Context(), others); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]error{far: context.DeadlineExceeded, 100: nil} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if want != nil {
			ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
		}
		_, err := r.sub.Last(ctx, n)
		cancel()
		if !errors.Is(err, want) {
			t.Errorf("the last %d: %v, want %v", n, err, want)
		}
	}
	s.longScans.Release(others)
	c, err := r.sub.Last(t.Context(), far)
	if err != nil || c.Pos() != ids[len(ids)-far].Prev() {
		t.Errorf("the last %d are after %s, %v", far, c.Pos(), err)
	}
}

// TestReadsAtATime has more reads of history than connections for them.
func TestReadsAtATime(t *testing.T) {
	t.Parallel()
	s, err := Open(testConfig(t, "redis://127.0.0.1:1")) // never dialled
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const conns, callers = 8, 30
	goOn := make(chan struct{})
	var running, most atomic.Int64
	var reads sync.WaitGroup
	for i := range callers {
		reads.Go(func() {
			_, err := readOnce(t.Context(), s, want{key: "sse:a", count: i}, func(context.Context, *topology.Node, redisstream.Querier) (any, error) {
				n := running.Add(1)
				defer running.Add(-1)
				for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
				}
				<-goOn
				return nil, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	redistest.Eventually(t, patience, "the reads", func() bool { return value(s.metrics.HistoryInFlight) == conns })
	if node := s.topo.Nodes()[0]; node.HistoryReads.TryAcquire(1) {
		t.Errorf("there is room for more than %d reads", conns)
		node.HistoryReads.Release(1)
	}
	close(goOn)
	reads.Wait()
	if n := most.Load(); n != conns {
		t.Errorf("%d reads at a time, want %d", n, conns)
	}
}
