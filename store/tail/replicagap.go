package tail

import "time"

// A stream that seems to have lost entries on a replica may only be late there.
// Such a gap is pending until the stream still looks so on a replica that has
// all that its master had after the gap was first seen. No gap is reported
// until then. If the master is unreachable, the gap stays pending.

// gapIsConfirmed reports whether a gap that was found on a replica counts: only
// if it was pending, and the read that found it again was asked for by
// ConfirmGaps. A read that was under way by then may have seen the replica as it
// was before. If the gap does not count, the source is read again when that is
// known.
func (n *Node) gapIsConfirmed(t task) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := t.Source
	switch {
	case s.node.Load() != n:
		return false
	case s.gapSince.IsZero():
		s.gapSince = time.Now()
		n.pendingGaps = append(n.pendingGaps, s)
	case t.why&readConfirmed != 0:
		s.endGap()
		return true
	}
	select {
	case n.gapFound <- struct{}{}:
	default:
	}
	return false
}

// endGap forgets the gap, and what was confirmed of it. The caller holds the
// mutex of the node that follows the source.
func (s *Source) endGap() {
	s.gapSince = time.Time{}
	s.queue.causes &^= readConfirmed
}

// clearGap forgets the gap of a source whose stream goes on as expected.
func (n *Node) clearGap(s *Source) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.node.Load() == n {
		s.endGap()
	}
}

// forgetGaps forgets all gaps: what was confirmed of one server does not count
// for another.
func (n *Node) forgetGaps() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.pendingGaps {
		if s.node.Load() == n {
			s.endGap()
		}
	}
	n.pendingGaps = nil
}

// GapFound returns a channel that receives after a gap became pending.
func (n *Node) GapFound() <-chan struct{} { return n.gapFound }

// ConfirmGaps tells that the replica that is followed has all that its master
// had at a time, for the keys that answersFor reports; nil is all. Sources
// whose gap was found before are read again, and the gap counts if that finds it
// too. The rest stays pending; left tells whether that is because the master does
// not answer for a key.
func (n *Node) ConfirmGaps(at time.Time, answersFor func(key string) bool) (left bool) {
	n.mu.Lock()
	still := n.pendingGaps[:0]
	for _, s := range n.pendingGaps {
		switch {
		case s.node.Load() != n || s.gapSince.IsZero():
			continue
		case !s.gapSince.Before(at):
			still = append(still, s)
		case answersFor != nil && !answersFor(s.Key):
			still, left = append(still, s), true
		default:
			still = append(still, s) // until that read has ended
			n.enqueueLocked(high, s, readChecked|readConfirmed)
		}
	}
	clear(n.pendingGaps[len(still):])
	n.pendingGaps = still
	n.mu.Unlock()
	n.wake()
	return left
}
