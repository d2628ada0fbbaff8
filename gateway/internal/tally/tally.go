// Package tally counts what is in a batch while it is made, for when it is known to how
// many streams the batch was written.
package tally

import (
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// Tally is what a batch has. The zero Tally is empty. One goroutine uses it.
type Tally struct {
	counts []counts // one for each namespace that has something in it, mostly one
}

// counts are what a batch has of one namespace.
type counts struct {
	of     *metrics.Namespace
	events int
	live   []uint64 // of live events, the milliseconds in their ids
	gaps   []string // reasons
}

// Reset empties the tally, whose memory is used again.
func (t *Tally) Reset() { t.counts = t.counts[:0] }

// Event counts an event. live tells that its client was up to date when it came, so
// that its latency means something.
func (t *Tally) Event(of *metrics.Namespace, id store.ID, live bool) {
	c := t.in(of)
	c.events++
	if live {
		c.live = append(c.live, id.Ms)
	}
}

// Gap counts a gap. reason is one of metrics.
func (t *Tally) Gap(of *metrics.Namespace, reason string) {
	c := t.in(of)
	c.gaps = append(c.gaps, reason)
}

// in returns the counts of a namespace.
func (t *Tally) in(of *metrics.Namespace) *counts {
	n := len(t.counts)
	for i := n - 1; i >= 0; i-- {
		if t.counts[i].of == of {
			return &t.counts[i]
		}
	}
	if n == cap(t.counts) {
		t.counts = append(t.counts, counts{of: of})
		return &t.counts[n]
	}
	t.counts = t.counts[:n+1] // one of an earlier batch, whose slices are used again
	c := &t.counts[n]
	c.of, c.events, c.live, c.gaps = of, 0, c.live[:0], c.gaps[:0]
	return c
}

// Count adds to the metrics that the batch was written to as many streams at now.
func (t *Tally) Count(streams int, now time.Time) {
	for i := range t.counts {
		c := &t.counts[i]
		if c.events > 0 {
			c.of.Deliveries.Add(float64(c.events * streams))
		}
		c.observe(streams, now)
		for _, reason := range c.gaps {
			c.of.Gaps.WithLabelValues(reason).Add(float64(streams))
		}
	}
}

// maxLatency is the difference between an id's time and the time of the write from
// which on it is no latency: publishers may choose ids of their own.
const maxLatency = time.Hour

// observe counts the latency of the live events.
func (c *counts) observe(streams int, now time.Time) {
	ms := uint64(now.UnixMilli())
	for i := 0; i < len(c.live); {
		run := i + 1 // events of one millisecond are counted together
		for run < len(c.live) && c.live[run] == c.live[i] {
			run++
		}
		// Signed, or in nanoseconds, the difference to an id that a publisher chose
		// could overflow.
		switch at := c.live[i]; {
		case at <= ms && ms-at < uint64(maxLatency.Milliseconds()):
			c.of.DeliveryLatency.Observe(time.Duration(ms-at)*time.Millisecond, (run-i)*streams)
		case at > ms && at-ms < uint64(maxLatency.Milliseconds()): // clocks differ
			c.of.DeliveryLatency.Observe(0, (run-i)*streams)
		}
		i = run
	}
}
