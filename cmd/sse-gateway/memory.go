package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// gcPercent lets the heap grow by half between collections instead of doubling.
	// Deliveries allocate nothing, so collections are rare; what counts is how many
	// connections fit into a machine. deploy/bench, two rounds of each in turn, 9,000
	// clients with a channel each: with 100, 3.6 and 3.3 kB per connection at most, 2.51
	// at rest, and 1.40 and 1.32 times nchan's time to connect; with 50, 3.0 kB, 2.29
	// at rest, and 1.73 and 1.61 times.
	gcPercent = 50
	// trimEvery is how often the number of connections is looked at, and
	// trimLeast the least change that is worth a collection: a hundred clients
	// that did not read can leave tens of megabytes behind.
	trimEvery = 5 * time.Second
	trimLeast = 100
)

// tuneMemory sets the collector, unless the environment does.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// trimMemory gives memory back to the system once many connections have come,
// each with the garbage of its handshake, or gone, with what they held, and it
// is calm again: an idle gateway allocates so little that the collector would
// not run for long. The scenarios idle-one-9000 and idle-each-9000 of
// deploy/bench, two alternating rounds each: 0.87 and 2.6 kB per connection with
// it, 1.1 to 1.2 and 3.8 to 3.9 kB without.
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
