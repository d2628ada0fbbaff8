package store

import "time"

// suspect is a find of the sweep that an invalidation may still explain.
type suspect struct {
	entries int
	since   time.Time
}

// suspect takes note of entries that only a sweep found.
func (n *node) suspect(w *window, entries int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if w.node.Load() != n {
		return // it moved, and what explains the find may have come to the other node
	}
	if w.queued.reasons&readInvalidated == 0 {
		n.suspects[w] = suspect{entries, time.Now()}
	}
}

// acquit forgets the finds of the sweep: the invalidations that would explain
// them ended with their session.
func (n *node) acquit() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.suspects)
}

// convict counts the finds of the sweep that no invalidation has explained. A
// ping that was sent at asked has been answered, and so every invalidation that
// Redis had sent before has arrived.
func (n *node) convict(asked time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for w, s := range n.suspects {
		if s.since.Before(asked) {
			delete(n.suspects, w)
			n.store.metrics.SweepFinds.Add(float64(s.entries))
			n.log.Warn("the safety sweep found entries that Redis had not announced", "entries", s.entries)
		}
	}
}

// postpone takes note that Redis answered the read of one window with an error.
func (n *node) postpone(w *window, err error) {
	n.mu.Lock()
	first := !n.failing[w]
	n.failing[w] = true
	n.mu.Unlock()
	if first {
		n.log.Warn("a stream cannot be read", "error", err)
	}
}

// recovered takes note that a window was read.
func (n *node) recovered(w *window) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.failing, w)
}

// retryFailing has the windows read again that could not be.
func (n *node) retryFailing() {
	n.mu.Lock()
	var again []*window
	for w := range n.failing {
		if w.node.Load() == n {
			again = append(again, w)
		} else {
			delete(n.failing, w)
		}
	}
	n.mu.Unlock()
	for _, w := range again {
		n.enqueue(w, readChecked)
	}
}
