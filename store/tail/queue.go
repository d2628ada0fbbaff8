package tail

import (
	"time"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// cause is a set of reasons to read a stream.
type cause uint8

const (
	readPlain       cause = 1 << iota // it is new, or the last read left some
	readInvalidated                   // Redis said that the key changed
	readSwept                         // the safety sweep came by
	readChecked                       // compare with the stream before going on
)

// priority is the queue of its node in which a source stands.
type priority uint8

const (
	none   priority = iota
	high            // it is new, or was changed: subscribers wait for what it has
	normal          // it may have been changed, and has subscribers
	low             // only a sweep came by, or nobody is subscribed
	priorities
)

// task is a source to read, and why.
type task struct {
	*Source
	why cause
}

// enqueue has the source read, unless it moved: whoever moved it queued it there.
func (n *Node) enqueue(s *Source, why cause) {
	p := high
	if why == readSwept {
		p = low
	}
	n.mu.Lock()
	if s.node.Load() == n {
		n.enqueueLocked(p, s, why)
	}
	n.mu.Unlock()
	if session := n.session.Load(); session != nil {
		session.conn.Wake()
	}
}

// enqueueLocked is enqueue with a priority, unless it has a higher one. The caller
// holds mu, and its session looks at the queues afterwards.
func (n *Node) enqueueLocked(p priority, s *Source, why cause) {
	s.causes |= why
	if s.queued != none && s.queued <= p {
		return
	}
	s.queued = p
	n.queues[p] = append(n.queues[p], s)
	if p != low && n.dirtySince.IsZero() {
		n.dirtySince = time.Now()
	}
}

// promote moves a source that has a new subscriber up.
func (n *Node) promote(s *Source) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.node.Load() == n && s.queued == low {
		n.enqueueLocked(normal, s, 0)
	}
}

// enqueueAll has every source read: those with subscribers with one priority,
// the others with another. Its session looks at the queues afterwards.
func (n *Node) enqueueAll(subscribed, unused priority, why cause) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.sources {
		p := subscribed
		if p != unused && s.Subscribers() == 0 {
			p = unused
		}
		n.enqueueLocked(p, s, why)
	}
}

// invalidate has the source of a key read that Redis says has changed.
func (n *Node) invalidate(key []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := n.sources[string(key)]; s != nil {
		n.enqueueLocked(high, s, readInvalidated)
	}
}

const (
	// readBatch is how many streams one pipeline reads: few enough to see a new
	// invalidation soon.
	readBatch = 128
	// batchBytes is how much is kept of the replies of one batch.
	batchBytes = readBatch * redisstream.PageBytes
	// lowPriorityShare is the part of a batch, one in so many, for lower priorities.
	lowPriorityShare = 4
)

// take moves up to limit sources from the queues to dst.
func (n *Node) take(dst []task, limit int) []task {
	n.mu.Lock()
	defer n.mu.Unlock()
	dst = n.takeFrom(high, dst, limit-max(limit/lowPriorityShare, 1))
	dst = n.takeFrom(normal, dst, limit)
	dst = n.takeFrom(low, dst, limit)
	dst = n.takeFrom(high, dst, limit)
	if len(dst) == 0 {
		n.dirtySince = time.Time{} // what was left in the queues was read by way of another one
	}
	return dst
}

func (n *Node) takeFrom(p priority, dst []task, limit int) []task {
	queue, i := n.queues[p], 0
	for ; i < len(queue) && len(dst) < limit; i++ {
		s := queue[i]
		queue[i] = nil
		if s.node.Load() != n || s.queued != p {
			continue // it moved, or was taken from another queue
		}
		dst = append(dst, task{s, s.causes})
		s.causes, s.queued = 0, none
	}
	if n.queues[p] = queue[i:]; i == len(queue) {
		n.queues[p] = nil // the array is of no more use
	}
	return dst
}

// caughtUp notes that what was taken at a time was read.
func (n *Node) caughtUp(until time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dirtySince = until; len(n.queues[high])+len(n.queues[normal]) == 0 {
		n.dirtySince = time.Time{}
	}
}

// Lag is how long the oldest change has been waiting to be read.
func (n *Node) Lag(now time.Time) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dirtySince.IsZero() {
		return 0
	}
	return now.Sub(n.dirtySince)
}
