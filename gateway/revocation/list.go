package revocation

import (
	"container/heap"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// MaxRevocations is how many revocations a replica keeps: about 25 MB.
const MaxRevocations = 250_000

// List holds the revocations that count, and the open streams that one could
// concern. It may be used concurrently.
type List struct {
	max     int
	metrics *metrics.Revocations
	known   atomic.Bool // see Known

	// mu guards the rest. Invariants: byKey and byUntil hold the same entries; a
	// watch is in watches under each of its keys from Watch until Stop.
	mu      sync.Mutex
	byKey   map[Key]*entry
	byUntil untilHeap
	count   int64 // of revocations that were added, ever
	watches map[Key]*Watch
}

// entry is all that is known about one subject or token.
type entry struct {
	key   Key
	at    int64 // of the latest revocation, Unix ms; a token's: the end of time
	count int64 // List.count at the latest revocation
	until int64 // the latest, Unix ms
	place int   // in byUntil
}

// revokes reports whether the entry concerns a grant with its key.
func (e *entry) revokes(id *Identity, now time.Time) bool {
	switch {
	case now.UnixMilli() >= e.until:
		return false
	case e.key == id.Token:
		return true
	case id.answered:
		return id.since < e.count
	}
	return id.since <= e.at
}

// NewList returns an empty list. Its series are m's.
func NewList(m *metrics.Revocations) *List { return newList(m, MaxRevocations) }

func newList(m *metrics.Revocations, max int) *List {
	return &List{max: max, metrics: m, byKey: make(map[Key]*entry), watches: make(map[Key]*Watch)}
}

// Known reports whether the stream of revocations has been read, once, to its
// end. Before, nothing can be said about a grant.
func (l *List) Known() bool { return l.known.Load() }

// SetKnown tells that the stream has been read to its end.
func (l *List) SetKnown() { l.known.Store(true) }

// Count returns how many revocations were added so far, for [OfAnswer].
func (l *List) Count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// Revoked reports whether a grant has been revoked.
func (l *List) Revoked(id Identity) bool {
	if id.None() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.revoked(&id, time.Now())
}

// revoked is Revoked with mu held.
func (l *List) revoked(id *Identity, now time.Time) bool {
	for _, key := range [2]Key{id.Subject, id.Token} {
		if e := l.byKey[key]; e != nil && e.revokes(id, now) {
			return true
		}
	}
	return false
}

// Add adds a revocation and ends the streams that it concerns. It reports how
// many others were dropped for it.
func (l *List) Add(r Revocation) (dropped int) {
	now := time.Now()
	l.mu.Lock()
	l.count++
	l.expire(now)
	for _, key := range [2]Key{r.Subject, r.Token} {
		at := r.At.UnixMilli()
		if key == r.Token {
			at = math.MaxInt64
		}
		if (key != Key{}) && r.Until.After(now) {
			l.put(key, at, r.Until.UnixMilli())
		}
	}
	for len(l.byUntil) > l.max {
		l.drop()
		dropped++
	}
	ended := l.concerned(r, now)
	l.metrics.Known.Set(float64(len(l.byUntil)))
	l.mu.Unlock()
	for _, s := range ended {
		s.Revoke()
	}
	return dropped
}

// put merges a revocation into the entry of its key. Two revocations of one
// subject become one that revokes what either does, for as long as the longer
// one: a grant may be refused that was made between them, never one let in.
func (l *List) put(key Key, at, until int64) {
	e := l.byKey[key]
	if e == nil {
		e = &entry{key: key, at: math.MinInt64}
		l.byKey[key] = e
		heap.Push(&l.byUntil, e)
	}
	e.at, e.count, e.until = max(e.at, at), l.count, max(e.until, until)
	heap.Fix(&l.byUntil, e.place)
}

// expire removes the revocations that no longer count. The caller holds mu.
func (l *List) expire(now time.Time) {
	for len(l.byUntil) > 0 && l.byUntil[0].until <= now.UnixMilli() {
		l.drop()
	}
}

// drop removes the revocation with the earliest until. The caller holds mu.
func (l *List) drop() {
	e := heap.Pop(&l.byUntil).(*entry)
	delete(l.byKey, e.key)
}

// untilHeap implements heap.Interface, the earliest until first.
type untilHeap []*entry

func (h untilHeap) Len() int           { return len(h) }
func (h untilHeap) Less(i, j int) bool { return h[i].until < h[j].until }
func (h untilHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *untilHeap) Push(x any) {
	e := x.(*entry)
	e.place = len(*h)
	*h = append(*h, e)
}

func (h *untilHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
