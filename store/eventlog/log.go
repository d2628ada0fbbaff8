package eventlog

import (
	"container/list"
	"sync/atomic"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// Log holds the entries of one stream in (floor, head] in memory. Its methods
// may be called concurrently. It wakes nobody: whoever changes it tells the
// subscribers afterwards.
type Log struct {
	// Fixed at construction.
	channel string
	budget  *Budget

	view atomic.Pointer[View] // changes under Budget.mu only, and not once the log is closed

	// Guarded by Budget.mu.
	closed  bool
	element *list.Element // in Budget.logs; nil if the log holds no entries
}

// New returns an empty log of a channel's stream that begins at known.Head.
// final tells that the channel ends with the entry there.
func New(budget *Budget, channel string, known redisstream.Known, final bool) *Log {
	l := &Log{channel: channel, budget: budget}
	l.view.Store(&View{known: known, floor: known.Head, lowest: redisstream.MaxID, final: final})
	return l
}

// View returns the content of the log at this moment.
func (l *Log) View() *View { return l.view.Load() }

// update stores the view that f makes of the current one. It returns false, and
// changes nothing, if the log is closed, or has another head or epoch than seen,
// which may be nil.
func (l *Log) update(seen *View, f func(old *View) *View) bool {
	l.budget.mu.Lock()
	defer l.budget.mu.Unlock()
	old := l.view.Load()
	if l.closed || seen != nil && (old.Head() != seen.Head() || old.epoch != seen.epoch) {
		return false
	}
	if l.set(f(old)) {
		l.budget.use(l)
		l.budget.shrink()
	}
	return true
}

// set stores a view, and reports whether the log holds other entries now. The
// caller holds Budget.mu.
func (l *Log) set(v *View) (changed bool) {
	old := l.view.Swap(v)
	l.budget.book(len(v.entries)-len(old.entries), v.Bytes()-old.Bytes())
	return len(v.entries) != len(old.entries) || v.Bytes() != old.Bytes() || v.floor != old.floor
}

// Append adds entries that follow the head, in ascending order, and keeps the
// newest of all. The head moves to the last of entries. known replaces what is
// known of the stream, except for its Head; without entries that is all that
// changes. Append copies entries but not their frames.
//
// It returns false, and changes nothing, if the log's head or epoch is not that of
// seen any more, or the log is closed.
func (l *Log) Append(seen *View, entries []Entry, known redisstream.Known) bool {
	return l.update(seen, func(old *View) *View {
		v := old.appendEntries(entries, known)
		if n := len(v.entries) - l.budget.maxEvents; n > 0 {
			v.evict(n, false)
			l.budget.evicted("events", n)
		}
		return v
	})
}

// Reset takes the log back to the position to: the stream was replaced by one
// that agrees with the log up to there. known is what is known of the new
// stream, except for its Head. It returns false like Append.
func (l *Log) Reset(seen *View, to redisstream.ID, known redisstream.Known) bool {
	return l.update(seen, func(old *View) *View { return old.replaced(to, known) })
}

// Vanish drops all entries: the stream does not exist any more. The head stays.
// It returns false like Append.
func (l *Log) Vanish(seen *View) bool { return l.update(seen, (*View).vanished) }

// Prepend extends the log into the past by the entries of a page, which a
// reader of the given epoch asked for. Nothing happens unless the page reaches
// the floor and agrees with the log about what follows the floor. The past of one
// channel takes a quarter of the budget at most: it must not push out the present
// of others.
func (l *Log) Prepend(epoch uint32, p *Page) {
	l.update(nil, func(old *View) *View {
		if old.epoch != epoch {
			return old
		}
		return old.prepended(p, l.budget.maxEvents-len(old.entries), l.budget.maxBytes/4-old.bytes)
	})
}

// Shrink evicts the older half of the entries, rounded up, as the budget does for
// want of memory.
func (l *Log) Shrink() {
	l.budget.mu.Lock()
	defer l.budget.mu.Unlock()
	l.shrink()
}

func (l *Log) shrink() {
	v := *l.View()
	n := (v.Len() + 1) / 2
	if l.closed || n == 0 {
		return
	}
	v.evict(n, true)
	l.budget.evicted("memory", n)
	if l.set(&v); v.Len() == 0 {
		l.budget.unlist(l)
	}
}

// Touch marks the log as used, so that others give up memory before it.
func (l *Log) Touch() {
	l.budget.mu.Lock()
	defer l.budget.mu.Unlock()
	if !l.closed {
		l.budget.use(l)
	}
}

// Close ends all changes of the log, and takes it out of the budget. Cursors may
// still read it.
func (l *Log) Close() {
	l.budget.mu.Lock()
	defer l.budget.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	v := l.view.Load()
	l.budget.book(-len(v.entries), -v.Bytes())
	l.budget.unlist(l)
}
