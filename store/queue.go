package store

import "time"

// urgency tells in which queue of its node a window stands.
type urgency uint8

const (
	urgent  urgency = iota // it is new, or was changed: subscribers wait for what it has
	waiting                // it may have been changed, and has subscribers
	idle                   // only a sweep came by, or nobody is subscribed
	urgencies
)

// queueState is where a window stands in the queues of its node.
type queueState struct {
	reasons reason
	in      [urgencies]bool
}

// enqueue has the window read for the given reasons.
func (n *node) enqueue(w *window, why reason) {
	if why == readSwept {
		n.enqueueAs(idle, w, why)
		return
	}
	n.enqueueAs(urgent, w, why)
}

// enqueueAs is enqueue with a certain urgency, or what the window has if that is
// higher.
func (n *node) enqueueAs(u urgency, w *window, why reason) {
	n.mu.Lock()
	if w.node.Load() != n {
		n.mu.Unlock()
		return // it moved; whoever moved it queued it there
	}
	n.put(u, w, why)
	n.mu.Unlock()
	n.notify()
}

// notify has the queues looked at, by the loop of the session.
func (n *node) notify() {
	select {
	case n.signal <- struct{}{}:
	default:
	}
}

// leftover has the loop look after the queues if there is something in them.
func (n *node) leftover() {
	n.mu.Lock()
	left := 0
	for _, q := range n.queues {
		left += len(q)
	}
	n.mu.Unlock()
	if left > 0 {
		n.notify()
	}
}

// put is enqueueAs for a caller that holds mu and looks after the queues.
func (n *node) put(u urgency, w *window, why reason) {
	w.queued.reasons |= why
	if why&readInvalidated != 0 {
		delete(n.suspects, w)
	}
	for more := range u + 1 {
		if w.queued.in[more] {
			return
		}
	}
	w.queued.in[u] = true
	n.queues[u] = append(n.queues[u], w)
	if u != idle && n.oldest.IsZero() {
		n.oldest = time.Now()
	}
}

// hasten moves a window that has a new subscriber up, if it is to be read.
func (n *node) hasten(w *window) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if w.node.Load() == n && w.queued.in[idle] {
		n.put(waiting, w, 0)
	}
}

// resync has every window of the node compared with its stream. To do that for
// thousands takes a while, for seconds on a machine that is busy, so those that
// nobody is subscribed to come last, and what changes meanwhile comes first.
func (n *node) resync() {
	for _, w := range n.windows() {
		u := idle
		if n.store.inUse(w) {
			u = waiting
		}
		n.enqueueAs(u, w, readChecked)
	}
}

// task is a window to read, and why.
type task struct {
	w   *window
	why reason
}

// lowShare is the part of a batch, one in so many, that is kept for windows of
// less urgency, so that those are read under any load.
const lowShare = 4

// take moves up to limit windows from the queues to dst, the urgent ones first.
func (n *node) take(dst []task, limit int) []task {
	n.mu.Lock()
	defer n.mu.Unlock()
	dst = n.takeFrom(urgent, dst, limit-limit/lowShare)
	dst = n.takeFrom(waiting, dst, limit)
	dst = n.takeFrom(idle, dst, limit)
	dst = n.takeFrom(urgent, dst, limit)
	if len(dst) == 0 {
		n.oldest = time.Time{} // what was left in the queues has been read by way of another one
	}
	return dst
}

// takeFrom fills dst up to limit from one queue.
func (n *node) takeFrom(u urgency, dst []task, limit int) []task {
	queue, i := n.queues[u], 0
	for ; i < len(queue) && len(dst) < limit; i++ {
		w := queue[i]
		queue[i] = nil
		if w.node.Load() != n || !w.queued.in[u] {
			continue // it moved, or was taken from another queue
		}
		dst = append(dst, task{w, w.queued.reasons})
		w.queued = queueState{}
	}
	if queue = queue[i:]; len(queue) == 0 {
		queue = nil
	}
	n.queues[u] = queue
	return dst
}
