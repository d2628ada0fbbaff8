package eventlog

import (
	"container/list"
	"sync"
	"sync/atomic"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// Log holds the entries of one stream in (floor, head] in memory. Its methods
// may be called concurrently. It wakes nobody: whoever changes it tells the
// subscribers afterwards.
type Log struct {
	channel string // fixed at construction

	view atomic.Pointer[View]

	// mu serialises changes: a new view is made from the current one, and
	// stored, under mu. A closed log changes no more.
	mu     sync.Mutex
	closed bool

	element *list.Element // in Budget.logs, nil if it is not; guarded by Budget.mu
}

// Mark is the state of a log that a read of its stream began with. A change
// made from the read applies only while the log's head and epoch are those of
// the mark.
type Mark struct {
	Known redisstream.Known
	Epoch uint32
}

// Change is the effect of one operation on a log's size; see Budget.Account.
type Change struct {
	Events  int // entries added less entries removed
	Bytes   int // by which the memory of the log has grown
	Evicted int // entries that left the log because it, or the budget, was full
}

// New returns an empty log of a channel's stream that begins at known.Head.
// final tells that the channel ends with the entry there.
func New(channel string, known redisstream.Known, final bool) *Log {
	l := &Log{channel: channel}
	l.view.Store(newView(known, final))
	return l
}

// Channel returns the name of the channel.
func (l *Log) Channel() string { return l.channel }

// View returns the content of the log at this moment.
func (l *Log) View() *View { return l.view.Load() }

// Known returns what is known of the stream at the log's head.
func (l *Log) Known() redisstream.Known { return l.view.Load().known }

// Mark returns the mark for a read of the stream that begins now.
func (l *Log) Mark() Mark {
	v := l.view.Load()
	return Mark{v.known, v.epoch}
}

// Bytes returns the memory that the log uses, evicted entries that are not free
// yet included.
func (l *Log) Bytes() int { return l.view.Load().memory() }

// update stores the view that f makes of the current one. It returns false, and
// changes nothing, if the log is closed or not as it was at m, which may be nil.
func (l *Log) update(m *Mark, f func(old *View) *View) (Change, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.view.Load()
	if l.closed || m != nil && (old.Head() != m.Known.Head || old.epoch != m.Epoch) {
		return Change{}, false
	}
	v := f(old)
	l.view.Store(v)
	return Change{Events: len(v.entries) - len(old.entries), Bytes: v.memory() - old.memory()}, true
}

// Append adds entries that follow the head, in ascending order, and keeps the
// newest maxEvents of all. The head moves to the last of entries. known replaces
// what is known of the stream, except for its Head; without entries that is all
// that changes. Append copies entries but not their frames.
//
// It returns false, and changes nothing, if the log is not as it was at m, or
// is closed.
func (l *Log) Append(m Mark, entries []Entry, known redisstream.Known, maxEvents int) (Change, bool) {
	evicted := 0
	c, ok := l.update(&m, func(old *View) *View {
		v := old.appendEntries(entries, known)
		evicted = v.evict(len(v.entries)-maxEvents, false)
		return v
	})
	c.Evicted = evicted
	return c, ok
}

// Reset takes the log back to the position to: the stream was replaced by one
// that agrees with the log up to there. known is what is known of the new
// stream, except for its Head. It returns false like Append.
func (l *Log) Reset(m Mark, to redisstream.ID, known redisstream.Known) (Change, bool) {
	return l.update(&m, func(old *View) *View { return old.replaced(to, known) })
}

// Vanish drops all entries: the stream does not exist any more. The head stays.
// A log whose stream is gone already stays as it is. It returns false like
// Append.
func (l *Log) Vanish(m Mark) (Change, bool) { return l.update(&m, (*View).vanished) }

// Prepend extends the log into the past by the entries of a page, which a
// reader of the given epoch asked for: at most up to maxEvents entries and
// maxBytes of memory in the whole log. Nothing happens unless the page reaches
// the floor and agrees with the log about what follows the floor.
func (l *Log) Prepend(epoch uint32, p *Page, maxEvents, maxBytes int) Change {
	c, _ := l.update(nil, func(old *View) *View {
		if old.epoch != epoch {
			return old
		}
		return old.prepended(p, maxEvents-len(old.entries), maxBytes-old.bytes)
	})
	return c
}

// Shrink evicts the older half of the entries, rounded up.
func (l *Log) Shrink() Change {
	evicted := 0
	c, _ := l.update(nil, func(old *View) *View {
		v := *old
		evicted = v.evict((len(v.entries)+1)/2, true)
		return &v
	})
	c.Evicted = evicted
	return c
}

// Close ends all changes of the log, and returns what the budget gets back.
// Cursors may still read it.
func (l *Log) Close() Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return Change{}
	}
	l.closed = true
	v := l.view.Load()
	return Change{Events: -len(v.entries), Bytes: -v.memory()}
}

func (l *Log) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
