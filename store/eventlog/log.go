package eventlog

import (
	"container/list"
	"slices"
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
	// stored, under mu. Invariant: bytes is the size of the view's entries, and
	// garbage that of the evicted entries which their array still holds.
	mu      sync.Mutex
	bytes   int
	garbage int
	closed  bool

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

// maxGarbage is how much memory of evicted entries a log may always keep, in
// bytes. Copying the array to free less is not worth the time.
const maxGarbage = 32 << 10

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
func (l *Log) Bytes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memory()
}

// Append adds entries that follow the head, in ascending order, and keeps the
// newest maxEvents of all. The head moves to the last of entries. known replaces
// what is known of the stream, except for its Head; without entries that is all
// that changes. Append copies entries but not their frames.
//
// It returns false, and changes nothing, if the log is not as it was at m, or
// is closed.
func (l *Log) Append(m Mark, entries []Entry, known redisstream.Known, maxEvents int) (Change, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, ok := l.at(m)
	if !ok {
		return Change{}, false
	}
	v := old.appendEntries(entries, known)
	before := l.memory()
	l.bytes += sizeOf(entries)
	if len(v.entries) > cap(old.entries) {
		l.garbage = 0 // it is another array
	}
	evicted := l.evict(v, len(v.entries)-maxEvents, false)
	l.view.Store(v)
	return Change{Events: len(entries) - evicted, Bytes: l.memory() - before, Evicted: evicted}, true
}

// Reset takes the log back to the position to: the stream was replaced by one
// that agrees with the log up to there. known is what is known of the new
// stream, except for its Head. It returns false like Append.
func (l *Log) Reset(m Mark, to redisstream.ID, known redisstream.Known) (Change, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, ok := l.at(m)
	if !ok {
		return Change{}, false
	}
	return l.replace(old.replaced(to, known)), true
}

// Vanish drops all entries: the stream does not exist any more. The head stays.
// A log whose stream is gone already stays as it is. It returns false like
// Append.
func (l *Log) Vanish(m Mark) (Change, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, ok := l.at(m)
	if !ok || old.Gone() {
		return Change{}, ok
	}
	return l.replace(old.vanished()), true
}

// Prepend extends the log into the past by the entries of a page, which a
// reader of the given epoch asked for: at most up to maxEvents entries and
// maxBytes of memory in the whole log. Nothing happens unless the page reaches
// the floor and agrees with the log about what follows the floor.
func (l *Log) Prepend(epoch uint32, p *Page, maxEvents, maxBytes int) Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.view.Load()
	if l.closed || old.epoch != epoch {
		return Change{}
	}
	v := old.prepended(p, maxEvents-len(old.entries), maxBytes-l.bytes)
	if v == old {
		return Change{}
	}
	return l.replace(v)
}

// Shrink evicts the older half of the entries, rounded up.
func (l *Log) Shrink() Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := *l.view.Load()
	if l.closed || len(v.entries) == 0 {
		return Change{}
	}
	before := l.memory()
	n := l.evict(&v, (len(v.entries)+1)/2, true)
	l.view.Store(&v)
	return Change{Events: -n, Bytes: l.memory() - before, Evicted: n}
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
	return Change{Events: -len(l.view.Load().entries), Bytes: -l.memory()}
}

func (l *Log) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// at returns the current view, and whether a change may be made that was read
// from the mark on. The caller holds mu.
func (l *Log) at(m Mark) (*View, bool) {
	v := l.view.Load()
	return v, !l.closed && v.Head() == m.Known.Head && v.epoch == m.Epoch
}

// memory returns what the log uses, in bytes. The caller holds mu.
func (l *Log) memory() int { return l.bytes + l.garbage }

// replace stores a view whose entries have an array of their own. The caller
// holds mu.
func (l *Log) replace(v *View) Change {
	before, events := l.memory(), len(l.view.Load().entries)
	l.bytes, l.garbage = sizeOf(v.entries), 0
	l.view.Store(v)
	return Change{Events: len(v.entries) - events, Bytes: l.memory() - before}
}

// evict drops the n oldest entries of v, which is not stored yet, and raises its
// floor. It copies the array, which frees them, if compact is set or they have
// become many. It returns how many it dropped: none if n is negative. The caller
// holds mu.
func (l *Log) evict(v *View, n int, compact bool) int {
	if n <= 0 {
		return 0
	}
	v.floor = v.entries[n-1].ID
	size := sizeOf(v.entries[:n])
	l.bytes, l.garbage = l.bytes-size, l.garbage+size
	v.entries = v.entries[n:]
	if compact || l.garbage > maxGarbage && l.garbage > l.bytes/2 {
		v.entries = slices.Clone(v.entries)
		l.garbage = 0
	}
	return n
}
