package eventlog

import (
	"container/list"
	"slices"
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
	l.view.Store(&View{known: known, floor: known.Head, final: final, epochStart: firstEpoch})
	return l
}

// View returns the content of the log at this moment.
func (l *Log) View() *View { return l.view.Load() }

// update stores what change makes of a copy of the view. It returns false, and
// changes nothing, if the log is closed, or has another head or epoch than seen,
// which may be nil.
func (l *Log) update(seen *View, change func(v *View)) bool {
	l.budget.mu.Lock()
	defer l.budget.mu.Unlock()
	old := l.view.Load()
	if l.closed || seen != nil && (old.Head() != seen.Head() || old.epoch != seen.epoch) {
		return false
	}
	v := *old
	change(&v)
	l.set(&v)
	if len(v.entries) != len(old.entries) || v.Bytes() != old.Bytes() || v.floor != old.floor {
		l.budget.use(l)
		l.budget.shrink()
	}
	return true
}

// set stores a view. The caller holds Budget.mu.
func (l *Log) set(v *View) {
	old := l.view.Swap(v)
	l.budget.book(len(v.entries)-len(old.entries), v.Bytes()-old.Bytes())
	if len(v.entries) == 0 {
		l.budget.unlist(l)
	}
}

// Append adds entries that follow the head, in ascending order, and keeps the
// newest of all. The head moves to the last of entries. known replaces what is
// known of the stream, except for its Head; without entries that is all that
// changes. Append copies entries but not their frames.
//
// It returns false, and changes nothing, if the log's head or epoch is not that of
// seen any more, or the log is closed.
func (l *Log) Append(seen *View, entries []Entry, known redisstream.Known) bool {
	return l.update(seen, func(v *View) {
		known.Head = v.Head()
		if n := len(entries); n > 0 {
			known.Head, known.Gone, v.final = entries[n-1].ID, false, entries[n-1].End
			room := cap(v.entries)
			// This writes beyond the length that readers of the old view see.
			v.entries = append(v.entries, entries...)
			if v.bytes += sizeOf(entries); len(v.entries) > room {
				v.garbage = 0 // it is another array
			}
		}
		v.known = known
		if n := len(v.entries) - l.budget.maxEvents; n > 0 {
			v.evict(n, false)
			l.budget.evicted("events", n)
		}
	})
}

// Reset takes the log back to the position to: the stream was replaced by one
// that agrees with the log up to there. known is what is known of the new
// stream, except for its Head. It returns false like Append.
func (l *Log) Reset(seen *View, to redisstream.ID, known redisstream.Known) bool {
	return l.update(seen, func(v *View) {
		n := v.upTo(to)
		// What was before the floor is not known any more. The floor itself counts
		// as an entry, which it mostly is.
		lost := to.Less(v.floor) || n < len(v.entries)
		v.entries = slices.Clone(v.entries[:n])
		v.bytes, v.garbage = sizeOf(v.entries), 0
		v.final = n > 0 && v.entries[n-1].End && v.entries[n-1].ID == to
		v.floor, v.known, v.known.Head = redisstream.Min(v.floor, to), known, to
		vanishedAt := v.vanishedAt
		if !vanishedAt.Less(to) {
			vanishedAt = redisstream.ID{}
		}
		v.newEpoch(to, lost, vanishedAt)
	})
}

// Vanish drops all entries: the stream does not exist any more. The head stays,
// and the floor is 0-0: the log has everything of a stream that has nothing. It
// returns false like Append.
func (l *Log) Vanish(seen *View) bool {
	return l.update(seen, func(v *View) {
		if v.Gone() {
			return
		}
		v.known = redisstream.Known{Head: v.Head(), Gone: true, Counts: v.known.Counts}
		v.floor, v.entries, v.bytes, v.garbage = redisstream.ID{}, nil, 0, 0
		v.newEpoch(v.Head(), false, v.Head())
	})
}

// Prepend extends the log into the past by the entries of a page, which a
// reader of the given epoch asked for. Nothing happens unless the page reaches
// the floor and agrees with the log about what follows the floor. The past of one
// channel takes a quarter of the budget at most: it must not push out the present
// of others.
func (l *Log) Prepend(epoch uint32, p *Page) {
	l.update(nil, func(v *View) {
		if v.epoch == epoch {
			v.prepend(p, l.budget.maxEvents-len(v.entries), l.budget.maxBytes/4-v.bytes)
		}
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
	l.set(&v)
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
