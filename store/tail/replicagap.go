package tail

import "time"

// A stream that seems to have lost entries on a replica may only be late there.
// Such a gap is pending until the stream still looks so on a replica that has
// all that its master had after the gap was first seen. No gap is reported
// until then. If the master is unreachable, the gap stays pending.

// gapIsConfirmed reports whether a gap that was found on a replica counts: only
// if it was pending, and the read that found it again was asked for by
// ConfirmGaps. A read that was under way by then may have seen the replica as it
// was before.
func (n *Node) gapIsConfirmed(t task) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := t.Source
	switch {
	case s.node.Load() != n:
		return false
	case s.gapSince.IsZero():
		s.gapSince, n.gaps = time.Now(), true
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
	s.causes &^= readConfirmed
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
	for _, s := range n.sources {
		s.endGap()
	}
}

// GapFound returns a channel that receives after a gap became pending.
func (n *Node) GapFound() <-chan struct{} { return n.gapFound }

// ConfirmGaps tells that the replica that is followed has all that its master
// had at a time, for the keys that answersFor reports; nil is all. Sources whose
// gap was found before are read again, and the gap counts if that finds it too.
// left tells that the master does not answer for the key of another such source.
func (n *Node) ConfirmGaps(at time.Time, answersFor func(key string) bool) (left bool) {
	n.mu.Lock()
	defer n.wake()
	defer n.mu.Unlock()
	if !n.gaps {
		return false
	}
	n.gaps = false
	for _, s := range n.sources {
		if s.gapSince.IsZero() {
			continue
		}
		n.gaps = true
		if !s.gapSince.Before(at) {
			continue
		}
		if answersFor != nil && !answersFor(s.Key) {
			left = true
			continue
		}
		n.enqueueLocked(high, s, readChecked|readConfirmed)
	}
	return left
}
