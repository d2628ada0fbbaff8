package store

import (
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// view is a window's content at one moment. It is immutable, so that any
// number of cursors read it without a lock.
//
// Invariant: every entry of the stream in (floor, head] that still existed
// when it was read is in entries, once, in order.
type view struct {
	floor   ID // exclusive
	head    ID // inclusive
	epoch   uint32
	entries []Entry
	resets  []reset // least recent first; see reset
	// end is the newest entry of the stream if the channel ends with it, else
	// 0-0. It outlives the entry: retention, or the end of the whole stream, does
	// not reopen the channel. Only an entry that follows does.
	end ID
}

// reset tells what happened to the stream from the start of epoch on, which is
// news to cursors of an earlier epoch. It sums up what is in the list after it,
// so that a cursor needs only the first reset that it does not know of.
//
// Invariant: a cursor that changes epoch is told of a gap if and only if its
// position is beyond to, where the stream of today does not reach, or it is not,
// and the old stream had entries after to: these are gone, and the cursor has not
// returned them. An entry that the tail had not read leaves no trace. What was
// before the floor is not known any more; the floor itself counts as an entry,
// which it mostly is.
type reset struct {
	epoch uint32
	to    ID   // the furthest that the stream went back
	lost  bool // there were entries after to
}

// after returns the entries after pos, which is not before the floor.
func (v *view) after(pos ID) []Entry {
	es := v.entries
	// Most cursors are at the head or one entry behind it.
	if n := len(es); n == 0 || !pos.Less(es[n-1].ID) {
		return nil
	} else if n == 1 || !pos.Less(es[n-2].ID) {
		return es[n-1:]
	}
	return es[sort.Search(len(es), func(i int) bool { return pos.Less(es[i].ID) }):]
}

// resumed returns where a cursor at pos that has last seen the given epoch
// goes on, and whether it has missed something; see reset.
func (v *view) resumed(pos ID, epoch uint32) (to ID, missed bool) {
	for _, r := range v.resets {
		if r.epoch > epoch {
			return minID(pos, r.to), r.lost || r.to.Less(pos)
		}
	}
	return pos, false
}

// window is the recent past of one channel in memory, and the set of those who
// want to know of its future.
type window struct {
	// Fixed at construction.
	channel string
	key     string

	node atomic.Pointer[node] // who tails it; nil while the window opens
	view atomic.Pointer[view]
	// Running averages of the size of an entry, in bytes, by which the tail and
	// history ask for as many as make a page; see adapt.go.
	avgSize, avgPage atomic.Int64
	// wrongType tells that the key held something else when it was last read.
	wrongType atomic.Bool

	flights singleflight.Group // pages of history on their way

	// mu serialises changes of view (a new view is made from the current one
	// under mu) and guards the fields below. Wakers are called under mu.
	mu     sync.Mutex
	subs   []*Subscription
	bytes  int // of view.entries
	pinned int // bytes of evicted entries that the array of view.entries still holds

	// What the tail knows about the stream at view.head; guarded by mu.
	anchored bool  // an entry with the id of view.head was in the stream
	added    int64 // the stream's entries-added at view.head, -1 if unknown
	counts   bool  // the server counts the entries that were added
	first    ID    // the stream's first entry when it was last looked at
	closed   bool  // nobody tails it any more

	// Guarded by the mutex of the node that tails it.
	queued queueState

	// Guarded by Store.mu.
	opening   *opening  // nil once the window is open
	refs      int       // subscriptions, those that wait for the opening included
	idleSince time.Time // when refs became 0
	inIdle    bool      // in Store.idle, once at most

	// Guarded by budget.mu: the list from the most to the least recently used.
	newer, older *window
	listed       bool
	forgotten    bool // it is closed, and must not be listed again
}

// opening lets several subscribers wait for one window to open.
type opening struct {
	done chan struct{} // closed when the window is open, or err is set
	err  error
}

// minPinned is below what it is not worth copying a window's array to free
// evicted entries, in bytes.
const minPinned = 32 << 10

// change is what an append did to the window.
type change struct {
	events        int // added less evicted
	bytes         int // that held has become more by
	evictedEvents int
}

// held is what the window's entries take, in bytes, and those that are evicted
// but not free yet. The caller holds mu.
func (w *window) held() int { return w.bytes + w.pinned }

// append adds entries, all after the head in ascending order, moves the head
// to the last of them and wakes the subscribers. It keeps at most maxEvents.
// The caller holds mu, and calls roundOver when it does not any more.
func (w *window) append(entries []Entry, maxEvents int) change {
	old := w.view.Load()
	v := &view{floor: old.floor, epoch: old.epoch, resets: old.resets, head: entries[len(entries)-1].ID}
	held := w.held()
	for i := range entries {
		w.bytes += entries[i].size()
	}
	// Appending beyond the length of a view does not disturb its readers.
	v.entries = append(old.entries, entries...)
	if len(v.entries) > cap(old.entries) {
		w.pinned = 0 // it is another array
	}
	v.end = endOf(v.entries, v.head)
	evicted := w.evict(v, len(v.entries)-maxEvents, false)
	w.view.Store(v)
	w.wake(true)
	return change{events: len(entries) - evicted, bytes: w.held() - held, evictedEvents: evicted}
}

// evict drops the n oldest entries of v, which is not yet published, and
// raises its floor. The array is copied, so that it lets go of them, if compact
// is set or they have become many. The caller holds mu.
func (w *window) evict(v *view, n int, compact bool) (evicted int) {
	if n <= 0 {
		return 0
	}
	v.floor = v.entries[n-1].ID
	for i := range v.entries[:n] {
		size := v.entries[i].size()
		w.bytes -= size
		w.pinned += size
	}
	v.entries = v.entries[n:]
	if compact || w.pinned > minPinned && w.pinned > w.bytes/2 {
		v.entries = slices.Clone(v.entries)
		w.pinned = 0
	}
	return n
}

// shrink evicts the older half of the window, all of it if that is one entry,
// and returns what was freed.
func (w *window) shrink() change {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.view.Load()
	if w.closed || old == nil || len(old.entries) == 0 {
		return change{}
	}
	v, held := *old, w.held()
	n := w.evict(&v, (len(v.entries)+1)/2, true)
	w.view.Store(&v)
	return change{events: -n, bytes: w.held() - held, evictedEvents: n}
}

// prepend extends the window into the past with entries that a history read
// found after pos: all there were in (pos, upTo]. Nothing happens unless they
// reach the floor and agree with the window about what follows it. Only as
// many as fit are taken.
func (w *window) prepend(epoch uint32, pos, upTo ID, entries []Entry, maxEvents, maxBytes int) change {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.view.Load()
	if w.closed || old.epoch != epoch || upTo.Less(old.floor) || !pos.Less(old.floor) {
		return change{}
	}
	end, _ := slices.BinarySearchFunc(entries, old.floor.Next(), func(e Entry, id ID) int { return e.ID.Compare(id) })
	if end < len(entries) && (len(old.entries) == 0 && !old.head.Less(entries[end].ID) ||
		len(old.entries) > 0 && entries[end].ID != old.entries[0].ID) {
		return change{} // another stream under the same name, which the tail has yet to see
	}
	room, bytes, start := maxEvents-len(old.entries), maxBytes-w.bytes, end
	size := 0
	for start > 0 && end-start < room && size+entries[start-1].size() <= bytes {
		start--
		size += entries[start].size()
	}
	v := &view{floor: pos, head: old.head, epoch: old.epoch, resets: old.resets, end: old.end}
	if start > 0 {
		v.floor = entries[start-1].ID
	}
	if start == end && v.floor == old.floor {
		return change{}
	}
	v.entries = slices.Concat(entries[start:end], old.entries)
	held := w.held()
	w.bytes, w.pinned = w.bytes+size, 0
	w.view.Store(v)
	return change{events: end - start, bytes: w.held() - held}
}

// reset takes the window back to position to: the stream was deleted, or
// replaced by a copy that agrees with this window up to there. Cursors beyond
// it, and those that have not got all of what was lost, learn of a gap, whenever
// they look. The caller holds mu.
func (w *window) reset(to ID) change {
	old := w.view.Load()
	v := &view{floor: minID(old.floor, to), head: to, epoch: old.epoch + 1}
	keep, _ := slices.BinarySearchFunc(old.entries, to.Next(), func(e Entry, id ID) int { return e.ID.Compare(id) })
	v.entries = slices.Clone(old.entries[:keep])
	v.resets = addReset(old.resets, reset{v.epoch, to, old.hasAfter(to)})
	if v.end = endOf(v.entries, to); to.IsZero() {
		v.end = old.end // the stream is gone, or all that follows is appended next
	}
	held := w.held()
	w.bytes, w.pinned = 0, 0
	for i := range v.entries {
		w.bytes += v.entries[i].size()
	}
	w.view.Store(v)
	w.wake(true)
	return change{events: keep - len(old.entries), bytes: w.held() - held}
}

// endOf returns the position of the newest entry of a stream if the channel ends
// with it, else 0-0.
func endOf(entries []Entry, newest ID) ID {
	if n := len(entries); n > 0 && entries[n-1].End && entries[n-1].ID == newest {
		return newest
	}
	return ID{}
}

// hasAfter reports whether the stream had entries after the position.
func (v *view) hasAfter(pos ID) bool {
	n := len(v.entries)
	return pos.Less(v.floor) || n > 0 && pos.Less(v.entries[n-1].ID)
}

// maxResets is how many resets a window knows apart, each of which went back
// less far than the one before.
const maxResets = 16

// addReset returns the resets and the one that followed them, as reset has it.
func addReset(resets []reset, last reset) []reset {
	var sum []reset
	for _, r := range append(slices.Clone(resets), last) {
		r.to, r.lost = minID(r.to, last.to), r.lost || last.lost
		// Whoever needs the one before, which says the same, finds this one.
		if n := len(sum); n > 0 && sum[n-1].to == r.to && sum[n-1].lost == r.lost {
			sum = sum[:n-1]
		}
		sum = append(sum, r)
	}
	if len(sum) > maxResets {
		// Whoever needs the first, and some who do not, find it in the second.
		sum[1].to, sum[1].lost = sum[0].to, sum[0].lost
		sum = sum[1:]
	}
	return sum
}

// close takes note that nobody uses the window any more, and returns what goes
// with it.
func (w *window) close() change {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	v := w.view.Load()
	if v == nil {
		return change{}
	}
	return change{events: -len(v.entries), bytes: -w.held()}
}

// wake tells the subscribers that there may be something new; see Waker. The
// caller holds mu.
func (w *window) wake(deferred bool) {
	for _, s := range w.subs {
		s.waker.Wake(deferred)
	}
}
