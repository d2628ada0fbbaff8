package main

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// Between two collections a heap grows by leastGarbage or by half, whichever is
// more, and never by much more than that.
func TestPercentFor(t *testing.T) {
	t.Parallel()
	for live := uint64(0); live < 4<<30; live += live/7 + 1000 {
		p := uint64(percentFor(live))
		growth := live * p / 100
		if least := 4 << 20 * p / 100; live+growth < least { // the runtime's own
			growth = least - live
		}
		most := max(leastGarbage, live/2)
		if growth > most || growth < most*3/4 && live > 4<<20 {
			t.Fatalf("%d bytes: grows by %d %%, %d bytes, want about %d", live, p, growth, most)
		}
	}
}

func TestAfterCollections(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	afterCollections(func() { calls.Add(1) })
	if calls.Load() != 1 {
		t.Error("it is not called at first")
	}
	for range 3 {
		had := calls.Load()
		runtime.GC()
		redistest.Eventually(t, 10*time.Second, "a call after a collection", func() bool { return calls.Load() > had })
	}
}
