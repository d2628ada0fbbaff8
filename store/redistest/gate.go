package redistest

import (
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
)

// gateType is the name of the gate among toxiproxy's toxics.
const gateType = "redistest_gate"

// gateBuffer is how many reads may wait at a gate, so that a delay does not
// also become a limit on throughput.
const gateBuffer = 256

func init() { toxics.Register(gateType, new(gateToxic)) }

// gate holds back what passes a proxy. toxiproxy's own toxics would do, but for
// two things: its timeout toxic loses bytes and closes the connections when it
// is taken away, which a network that comes back does not; and adding or
// removing any toxic hangs while a connection is blocked on a peer that does not
// read, such as a frozen server. So this one is there from the start, and what
// changes is its conditions.
type gate struct {
	mu sync.Mutex
	// now is guarded by mu. Whoever replaces it closes now.changed first.
	now conditions
}

type conditions struct {
	closed  bool
	latency time.Duration
	changed chan struct{} // closed when these conditions no longer hold
	cut     chan struct{} // closed when the connections of this time are cut
}

func newGate() *gate {
	return &gate{now: conditions{changed: make(chan struct{}), cut: make(chan struct{})}}
}

func (g *gate) conditions() conditions {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

func (g *gate) set(change func(*conditions)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.now.changed)
	g.now.changed = make(chan struct{})
	change(&g.now)
}

// cutAll lets go of everything that waits at the gate, to be dropped.
func (g *gate) cutAll() {
	g.set(func(c *conditions) {
		close(c.cut)
		c.cut = make(chan struct{})
	})
}

// wait returns true when what was read at that time may pass, false when cut is
// closed and it must not: after one dropped byte none may follow.
func (g *gate) wait(read time.Time, cut chan struct{}) bool {
	for {
		select {
		case <-cut:
			return false
		default:
		}
		c := g.conditions()
		left := time.Until(read.Add(c.latency))
		if !c.closed && left <= 0 {
			return true
		}
		var due <-chan time.Time // never, while closed
		if !c.closed {
			timer := time.NewTimer(left)
			defer timer.Stop()
			due = timer.C
		}
		select {
		case <-due:
		case <-c.changed:
		case <-cut:
		}
	}
}

// gateToxic is a gate in the shape that toxiproxy knows.
type gateToxic struct{ gate *gate }

// GetBufferSize implements toxics.BufferedToxic.
func (g *gateToxic) GetBufferSize() int { return gateBuffer }

// Pipe implements toxics.Toxic for one direction of one connection.
func (g *gateToxic) Pipe(stub *toxics.ToxicStub) {
	cut := g.gate.conditions().cut
	for {
		var chunk *stream.StreamChunk
		select {
		case <-stub.Interrupt:
			return
		case chunk = <-stub.Input:
		}
		if chunk == nil { // the sender closed the connection
			g.gate.wait(time.Now(), cut)
			stub.Close()
			return
		}
		if !g.gate.wait(chunk.Timestamp, cut) {
			continue // until the closed connection says so
		}
		select {
		case stub.Output <- chunk:
		// Nobody reads the output of a connection whose writer has failed.
		case <-cut:
		}
	}
}
