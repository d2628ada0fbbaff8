package tail

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// Source is one followed channel: its log in memory, and what the Node that
// follows it has to know of it. Its methods may be called concurrently.
type Source struct {
	// Fixed at construction.
	Channel string
	Key     string
	Log     *eventlog.Log

	// Size is the size of the entries that the tail reads.
	Size redisstream.SizeEstimate

	node      atomic.Pointer[Node]
	wrongType atomic.Bool
	noted     // guarded by the mutex of the node

	// mu guards subscribers. Invariant: a Waker is not called after its
	// Subscriber was removed.
	mu          sync.Mutex
	subscribers []*Subscriber
}

// noted is what a node has noted about a source, and forgets when the source
// leaves it.
type noted struct {
	causes cause
	queued priority // what it may have left in other queues is skipped
	retry  bool     // the server could not speak for it when it was last read; see doc.go
}

// Waker is told that a channel may have something new, or that its Redis went
// away or came back. Wake must not block, nor call the store. If batched is
// set, what there is to do may wait until Config.OnBatchEnd is called.
type Waker interface{ Wake(batched bool) }

// Subscriber is a Waker in the list of a Source.
type Subscriber struct {
	waker Waker
	index int // in Source.subscribers, -1 once removed; guarded by Source.mu
}

// Subscribe has the waker called from now on. A channel with a subscriber is
// read before those without.
func (s *Source) Subscribe(w Waker) *Subscriber {
	s.mu.Lock()
	sub := &Subscriber{waker: w, index: len(s.subscribers)}
	s.subscribers = append(s.subscribers, sub)
	s.mu.Unlock()
	if n := s.node.Load(); n != nil {
		n.promote(s)
	}
	return sub
}

// Unsubscribe ends what Subscribe began, and reports whether it was not ended
// before.
func (s *Source) Unsubscribe(sub *Subscriber) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.index < 0 {
		return false
	}
	last := len(s.subscribers) - 1
	s.subscribers[sub.index] = s.subscribers[last]
	s.subscribers[sub.index].index = sub.index
	s.subscribers = slices.Delete(s.subscribers, last, last+1)
	sub.index = -1
	return true
}

// Subscribers returns the number of subscribers.
func (s *Source) Subscribers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.subscribers)
}

func (s *Source) wake(batched bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subscribers {
		sub.waker.Wake(batched)
	}
}

// Node returns the node that follows the channel, nil if none does.
func (s *Source) Node() *Node { return s.node.Load() }

// WrongType reports whether the key was no stream when it was last read.
func (s *Source) WrongType() bool { return s.wrongType.Load() }

// Recheck has the tail compare the log with the stream.
func (s *Source) Recheck() {
	if n := s.node.Load(); n != nil {
		n.enqueue(s, readChecked)
	}
}

// Stalled reports whether the channel's Redis is away, and since when; see
// Node.Stalled.
func (s *Source) Stalled() (since time.Time, stalled bool) {
	n := s.node.Load()
	if n == nil || !n.Stalled() {
		return time.Time{}, false
	}
	now := time.Now()
	silence, _, _ := n.life(now)
	return now.Add(-silence), true
}
