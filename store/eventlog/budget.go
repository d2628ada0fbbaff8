package eventlog

import (
	"container/list"
	"sync"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// Budget bounds the memory of logs. When all of them together exceed it, the
// least recently used log gives up its older half first.
type Budget struct {
	// Fixed at construction.
	maxBytes  int // of all logs together
	maxEvents int // of each log
	metrics   *metrics.Store

	// mu serialises the changes of all logs. It guards the list of those that hold
	// entries, the most recently used one first, and the sums over them.
	mu            sync.Mutex
	logs          list.List // of *Log
	bytes, events int
}

// NewBudget returns a budget of maxBytes for all logs together and of maxEvents
// for each. It reports its use to the window series of m.
func NewBudget(maxBytes, maxEvents int, m *metrics.Store) *Budget {
	return &Budget{maxBytes: maxBytes, maxEvents: maxEvents, metrics: m}
}

// The caller of each of the methods below holds mu.

// book adds to the sums.
func (b *Budget) book(events, bytes int) {
	b.events += events
	b.bytes += bytes
	b.metrics.WindowEvents.Set(float64(b.events))
	b.metrics.WindowBytes.Set(float64(b.bytes))
}

// evicted counts entries that left a log because of a limit.
func (b *Budget) evicted(limit string, n int) {
	b.metrics.WindowEvictions.WithLabelValues(limit).Add(float64(n))
}

// use moves l to the front of the list, if it holds entries.
func (b *Budget) use(l *Log) {
	if l.element != nil {
		b.logs.MoveToFront(l.element)
	} else if l.View().Len() > 0 {
		l.element = b.logs.PushFront(l)
	}
}

func (b *Budget) unlist(l *Log) {
	if l.element != nil {
		b.logs.Remove(l.element)
		l.element = nil
	}
}

// shrink evicts entries until the budget holds.
func (b *Budget) shrink() {
	for e := b.logs.Back(); e != nil && b.bytes > b.maxBytes; e = b.logs.Back() {
		e.Value.(*Log).shrink()
	}
}
