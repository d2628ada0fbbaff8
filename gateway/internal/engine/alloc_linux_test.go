//go:build !race

// The race detector has sync.Pool forget things on purpose, so the numbers mean
// nothing with it.

package engine

import "testing"

// leastAllocs returns how often f allocates, at least: the store has goroutines of its own,
// which allocate now and then. It stops at a number that is good enough.
func leastAllocs(enough float64, f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for range 200 {
		if least <= enough {
			break
		}
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}

// TestDeliveriesAllocateNothing asserts that a wake-up allocates as much for a
// thousand streams as for one: a little for the batch that they share.
func TestDeliveriesAllocateNothing(t *testing.T) {
	const perWake = 2
	for _, n := range []int{1, 1000} {
		k := newSinks(t, n, 3, 100)
		if got := leastAllocs(perWake, func() {
			k.rewind()
			k.shard.wake(k.topic)
			if got := k.drain(); got != n*k.frames {
				t.Fatalf("%d bytes were written, want %d", got, n*k.frames)
			}
		}); got > perWake {
			t.Errorf("%v allocations for %d streams, want at most %d", got, n, perWake)
		}
		k.check()
	}
}

// TestFlushAllocatesNothing is the same for streams that are served one by one.
func TestFlushAllocatesNothing(t *testing.T) {
	k := newSinks(t, 100, 3, 100)
	if got := leastAllocs(0, func() {
		k.rewind()
		for _, s := range k.streams {
			k.shard.flush(s)
		}
		k.drain()
	}); got > 0 {
		t.Errorf("%v allocations for %d streams", got, len(k.streams))
	}
	k.check()
}
