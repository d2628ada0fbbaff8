package gateway

import (
	"slices"
	"time"

	"github.com/sse-gateway/sse-gateway/store"
)

// shared is one batch that many streams of a topic are sent: those that stood
// where the topic's lead stood. It is made, and the window read, once for all
// of them.
type shared struct {
	from, to store.Cursor
	out      *batch
	b        []byte
	pending  int       // streams that were sent it and are not counted yet
	counted  time.Time // when streams were last counted: about now
	kept     bool      // a stream still has to write a part of b
}

// share advances the topic's lead and returns what it passed; nil if there is
// nothing to share.
func (t *topic) share() *shared {
	from := t.lead
	got, state := t.lead.Next(maxBatch)
	_, stalled := t.sub.Stalled()
	if state != store.Ready || got.Gap != nil || stalled {
		// A gap is told to each stream from where it is. A lead that has
		// fallen behind the window leads nobody any more.
		if state == store.Behind {
			t.lead = t.sub.Now()
		}
		return nil
	}
	same := &shared{from: from, to: t.lead, out: batchPool.Get().(*batch), counted: time.Now()}
	same.out.b, same.out.events, same.out.live, same.out.gaps = same.out.b[:0], 0, same.out.live[:0], same.out.gaps[:0]
	for i := range got.Entries {
		e := &got.Entries[i]
		if e.Kind == store.KindEvent {
			same.out.event(e.ID, true)
		} else {
			same.out.gap(e.Kind.GapReason())
		}
		same.out.b = append(same.out.b, e.Frame...)
	}
	same.b = same.out.b
	return same
}

// fits reports whether the batch is what a parked stream is to be sent next.
func (m *shared) fits(s *stream) bool {
	return m != nil && s.names == "" && !s.envelope && !s.stalled && s.channels[0].cursor == m.from &&
		s.ended(m.counted) == ""
}

// countEvery is after how many streams the deliveries so far are counted with
// the time of the moment.
const countEvery = 64

// took notes that a stream was sent the batch.
func (m *shared) took(g *Gateway, s *stream) {
	s.channels[0].cursor = m.to
	if m.pending++; m.pending == countEvery {
		m.count(g)
	}
}

func (m *shared) count(g *Gateway) {
	if m.pending > 0 {
		m.counted = time.Now()
		m.out.count(g.metrics, len(m.b), m.pending, m.counted)
		m.pending = 0
	}
}

// rest returns what a stream whose socket took n bytes has to write later. It is
// shared by all of those, unless it is short.
func (m *shared) rest(n int) []byte {
	if left := m.b[n:]; len(left) <= slowBatch {
		return slices.Clone(left)
	}
	m.kept = true
	return m.b[n:]
}

// done counts the rest and lets go of the batch.
func (m *shared) done(g *Gateway) {
	if m == nil {
		return
	}
	m.count(g)
	if !m.kept && cap(m.out.b) <= 2*maxBatch {
		batchPool.Put(m.out)
	}
}
