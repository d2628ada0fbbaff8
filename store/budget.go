package store

import (
	"sync"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// budget bounds the memory of all windows together. When they are over it, the
// window that was least recently used gives up its older half first.
//
// Lock order: window.mu is never held when mu is taken, nor the other way round.
type budget struct {
	max     int
	metrics *metrics.Store

	// mu guards the list of windows that hold entries, from the most to the
	// least recently used, and the sums over them.
	mu            sync.Mutex
	newest        *window
	oldest        *window
	bytes, events int
}

// share is how much of the budget one window may take by reading history, in
// bytes; the past of one channel must not push out the present of others.
func (b *budget) share() int { return b.max / 4 }

// account books a change of w, which counts as a use of it, and shrinks
// windows until the budget holds.
func (b *budget) account(w *window, c change) {
	if c == (change{}) {
		return
	}
	b.mu.Lock()
	b.book(c, "events")
	if !w.forgotten { // else its last change was under way when it was closed
		b.unlink(w)
		b.link(w)
	}
	b.mu.Unlock()
	for {
		b.mu.Lock()
		victim := b.oldest
		over := b.bytes > b.max && victim != nil
		b.mu.Unlock()
		if !over {
			return
		}
		b.took(victim, victim.shrink())
	}
}

// took books what a window gave up. One that had nothing leaves the list, unless
// it was given something meanwhile: whoever did that may have booked it before.
func (b *budget) took(victim *window, c change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.book(c, "memory")
	if c == (change{}) && len(victim.view.Load().entries) == 0 {
		b.unlink(victim)
	}
}

// forget takes w, which is closed, out of the sums.
func (b *budget) forget(w *window, c change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.book(c, "")
	b.unlink(w)
	w.forgotten = true
}

// touch marks w as used.
func (b *budget) touch(w *window) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.listed {
		b.unlink(w)
		b.link(w)
	}
}

func (b *budget) book(c change, limit string) {
	b.bytes += c.bytes
	b.events += c.events
	b.metrics.WindowBytes.Set(float64(b.bytes))
	b.metrics.WindowEvents.Set(float64(b.events))
	if c.evictedEvents > 0 {
		b.metrics.WindowEvictions.WithLabelValues(limit).Add(float64(c.evictedEvents))
	}
}

// link puts w at the front of the list.
func (b *budget) link(w *window) {
	w.listed, w.newer, w.older = true, nil, b.newest
	if b.newest != nil {
		b.newest.newer = w
	} else {
		b.oldest = w
	}
	b.newest = w
}

func (b *budget) unlink(w *window) {
	if !w.listed {
		return
	}
	if w.newer != nil {
		w.newer.older = w.older
	} else {
		b.newest = w.older
	}
	if w.older != nil {
		w.older.newer = w.newer
	} else {
		b.oldest = w.newer
	}
	w.listed, w.newer, w.older = false, nil, nil
}
