package gateway

import (
	"sync"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// batch is what is written to one client at once: frames, and what is to be
// counted once they were written.
type batch struct {
	b      []byte
	events int
	live   []uint64 // of live events, the milliseconds in their ids
	gaps   []string
}

// batchPool has batches, held only while there is something to write.
var batchPool = sync.Pool{New: func() any { return &batch{b: make([]byte, 0, maxBatch+maxBatch/4)} }}

// begin gives the stream an empty batch.
func (s *stream) begin() *batch {
	out := batchPool.Get().(*batch)
	out.b, out.events, out.live, out.gaps = out.b[:0], 0, out.live[:0], out.gaps[:0]
	s.out = out
	return out
}

// finish takes the batch away.
func (s *stream) finish() {
	// One that a single large event has grown is left to the collector.
	if cap(s.out.b) <= 2*maxBatch {
		batchPool.Put(s.out)
	}
	s.out = nil
}

func (t *batch) gap(reason string) { t.gaps = append(t.gaps, reason) }

func (t *batch) event(id store.ID, live bool) {
	t.events++
	if live {
		t.live = append(t.live, id.Ms)
	}
}

// count counts that the batch was written, n bytes with frames around it, to
// as many streams.
func (t *batch) count(m *metrics.Gateway, n, streams int, now time.Time) {
	m.Writes.Add(float64(streams))
	m.DeliveryBytes.Add(float64(n * streams))
	if t.events > 0 {
		m.Deliveries.Add(float64(t.events * streams))
	}
	t.observe(m, streams, now)
	for _, reason := range t.gaps {
		m.Gaps.WithLabelValues(reason).Add(float64(streams))
	}
}

// maxLatency is above what an id's time is not the time it was written:
// publishers may choose ids of their own.
const maxLatency = time.Hour

// observe counts the latency of the live events.
func (t *batch) observe(m *metrics.Gateway, streams int, now time.Time) {
	ms := uint64(now.UnixMilli())
	for i := 0; i < len(t.live); {
		run := i + 1 // events of one millisecond are counted together
		for run < len(t.live) && t.live[run] == t.live[i] {
			run++
		}
		// Signed, or with a unit, the difference to an id of a publisher's own
		// could overflow.
		switch at := t.live[i]; {
		case at <= ms && ms-at < uint64(maxLatency.Milliseconds()):
			m.DeliveryLatency.Observe(time.Duration(ms-at)*time.Millisecond, (run-i)*streams)
		case at > ms && at-ms < uint64(maxLatency.Milliseconds()): // clocks differ
			m.DeliveryLatency.Observe(0, (run-i)*streams)
		}
		i = run
	}
}
