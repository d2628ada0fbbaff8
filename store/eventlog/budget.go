package eventlog

import (
	"container/list"
	"sync"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// Budget bounds the memory of all logs together. When they exceed it, the least
// recently used log gives up its older half first. Its methods may be called
// concurrently.
//
// Lock order: Budget.mu before Log.mu. A Change is accounted for after the log has
// made it, perhaps by another goroutine's turn later.
type Budget struct {
	maxBytes int
	metrics  *metrics.Store

	// mu guards the list of the logs that hold entries, the most recently used
	// one first, and the sums over them.
	mu            sync.Mutex
	logs          list.List // of *Log
	bytes, events int
}

// NewBudget returns a budget of so many bytes, which reports its use to the
// window series of m.
func NewBudget(maxBytes int, m *metrics.Store) *Budget {
	return &Budget{maxBytes: maxBytes, metrics: m}
}

// Share is how much of the budget one log may use by reading history, in bytes.
// The past of one channel must not push out the present of others.
func (b *Budget) Share() int { return b.maxBytes / 4 }

// Account books a change of l, which counts as a use of it, and shrinks logs
// until the budget holds.
func (b *Budget) Account(l *Log, c Change) {
	if c == (Change{}) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.book(c, "events")
	if l.element != nil || !l.isClosed() { // else the change was under way when it was forgotten
		b.use(l)
	}
	for oldest := b.logs.Back(); oldest != nil && b.bytes > b.maxBytes; oldest = b.logs.Back() {
		victim := oldest.Value.(*Log)
		c := victim.Shrink()
		if b.book(c, "memory"); c == (Change{}) { // it has nothing, or is closed
			b.unlist(victim)
		}
	}
}

// Touch marks l as used.
func (b *Budget) Touch(l *Log) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.element != nil {
		b.use(l)
	}
}

// Forget takes l, whose Close returned c, out of the sums.
func (b *Budget) Forget(l *Log, c Change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.book(c, "")
	b.unlist(l)
}

// book adds a change to the sums; limit is the label for what was evicted. The
// caller holds mu.
func (b *Budget) book(c Change, limit string) {
	b.bytes += c.Bytes
	b.events += c.Events
	b.metrics.WindowBytes.Set(float64(b.bytes))
	b.metrics.WindowEvents.Set(float64(b.events))
	if c.Evicted > 0 {
		b.metrics.WindowEvictions.WithLabelValues(limit).Add(float64(c.Evicted))
	}
}

// use moves l to the front of the list. The caller holds mu.
func (b *Budget) use(l *Log) {
	if l.element == nil {
		l.element = b.logs.PushFront(l)
		return
	}
	b.logs.MoveToFront(l.element)
}

// unlist removes l from the list. The caller holds mu.
func (b *Budget) unlist(l *Log) {
	if l.element != nil {
		b.logs.Remove(l.element)
		l.element = nil
	}
}
