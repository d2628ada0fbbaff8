package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// gcPercent lets the heap grow by half between collections instead of
	// doubling. Deliveries allocate nothing, so collections are rare; what
	// counts is how many idle connections fit into a machine.
	gcPercent = 50
	// leastGarbage is how much may be allocated between two collections however
	// small the heap is, in bytes. A crowd that comes makes 10 kB of garbage per
	// connection; to collect after every few hundred of them is a third of what
	// their coming costs.
	leastGarbage = 16 << 20
	// gcMost is the highest percentage. With it the runtime, which lets any heap
	// grow to 4 MiB × the percentage, lets it grow to leastGarbage.
	gcMost = 400
	// gcSteps is what the percentage is rounded to: to set it stops the world.
	gcSteps = 10
	// trimEvery is how often the number of connections is looked at, and
	// trimLeast the least change that is worth a collection: a hundred clients
	// that did not read can leave tens of megabytes behind.
	trimEvery = 5 * time.Second
	trimLeast = 100
)

// tuneMemory sets the collector, unless the environment does, and again after
// each collection.
func tuneMemory() {
	if os.Getenv("GOGC") != "" {
		return
	}
	current := 0
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	afterCollections(func() {
		metrics.Read(live)
		if p := percentFor(live[0].Value.Uint64()); p != current {
			current = p
			debug.SetGCPercent(p)
		}
	})
}

// percentFor is by how much a heap with so many bytes in use may grow before
// the next collection, in per cent.
func percentFor(live uint64) int {
	p := int(leastGarbage * 100 / max(live, 1<<20))
	return min(max(p/gcSteps*gcSteps, gcPercent), gcMost)
}

// afterCollections calls f now and after each collection, one call at a time.
func afterCollections(f func()) {
	type sentinel struct{ _ [16]byte } // large enough not to share its memory
	f()
	var arm func(*sentinel)
	arm = func(s *sentinel) {
		f()
		runtime.SetFinalizer(s, arm)
	}
	runtime.SetFinalizer(&sentinel{}, arm)
}

// trimMemory gives memory back to the system once many connections have come,
// each with the garbage of its handshake, or gone, with what they held, and it
// is calm again: an idle gateway allocates so little that the collector would
// not run for long.
func trimMemory(ctx context.Context, connections func() int64) {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	var t trimmer
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if t.due(connections()) {
			runtime.GC() // what is in a sync.Pool outlives one collection
			debug.FreeOSMemory()
		}
	}
}

// trimmer decides when memory is given back. A crowd that comes and goes counts
// although in the end there are as many connections as before.
type trimmer struct {
	low, high int64 // since memory was last given back
	last      int64
}

// due takes the present number of connections and reports whether memory is to
// be given back.
func (t *trimmer) due(now int64) bool {
	calm := !changed(t.last, now, trimLeast/10)
	t.low, t.high, t.last = min(t.low, now), max(t.high, now), now
	if !calm || !changed(t.low, now, trimLeast) && !changed(t.high, now, trimLeast) {
		return false
	}
	t.low, t.high = now, now
	return true
}

// changed reports whether a number went up or down by a quarter, and by least.
func changed(from, to, least int64) bool {
	d := max(from-to, to-from)
	return d >= least && d >= max(from, to)/4
}
