package store

import (
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
)

const (
	// recentFor is how long at least a page stays among the recent ones.
	// Clients that were cut off by the same fault come back within that time of
	// each other, give or take the spread of their retry.
	recentFor = time.Second
	// recentPart is the part of the windows' memory that recent pages may have
	// on top of it, as a divisor, and recentMost how many of them there are at
	// most: they are searched one by one.
	recentPart = 16
	recentMost = 128
)

// recentPages are the pages of history that were read a moment ago. Many who
// come back at once stand at different positions, or read at different speeds,
// and most of what they miss is the same: each part of it is read once, and the
// number of reads does not grow with theirs.
//
// A page stays true after it was read: it holds all there was in a stretch of
// the stream. If the stream is reset, the window enters another epoch.
type recentPages struct {
	maxBytes int
	keep     time.Duration

	mu    sync.Mutex
	pages []recentPage // in the order in which they were read
	bytes int          // of all of them
}

type recentPage struct {
	*page
	w     *window
	epoch uint32
	asked ID // the position that it was read for
	at    time.Time
	bytes int
}

// add keeps a page that was read for a position. Not one without entries: it may
// say that the position is yet to come, which may be so no more.
func (r *recentPages) add(w *window, epoch uint32, asked ID, p *page) {
	if len(p.entries) == 0 {
		return
	}
	n := recentPage{page: p, w: w, epoch: epoch, asked: asked, at: time.Now()}
	for i := range p.entries {
		n.bytes += p.entries[i].size()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pages = append(r.pages, n)
	r.bytes += n.bytes
	drop := 0
	for r.bytes > r.maxBytes || len(r.pages)-drop > recentMost {
		r.bytes -= r.pages[drop].bytes
		drop++
	}
	r.pages = slices.Delete(r.pages, 0, drop)
}

// find returns what follows the position if a page has it, else nil.
func (r *recentPages) find(w *window, epoch uint32, pos ID) *page {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range slices.Backward(r.pages) {
		if p.w == w && p.epoch == epoch {
			if found := p.after(p.asked, pos); found != nil {
				return found
			}
		}
	}
	return nil
}

// expire lets go of the pages that are no longer recent.
func (r *recentPages) expire(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for ; n < len(r.pages) && now.Sub(r.pages[n].at) >= r.keep; n++ {
		r.bytes -= r.pages[n].bytes
	}
	r.pages = slices.Delete(r.pages, 0, n)
}

// after returns the page, which was read for the position asked, as if it had
// been read for pos; nil if it does not have what follows there.
func (p *page) after(asked, pos ID) *page {
	resumed, reason, entries := p.resumed, p.gapReason, p.entries
	switch {
	case pos == asked:
	case p.entries[0].ID == p.start && isOther(pos, p.start):
		resumed, reason = p.start.Prev(), metrics.GapReset
	case p.gapReason == metrics.GapTrimmed && !pos.IsZero() && pos.Less(p.resumed):
		// Retention has passed all that are before what is left.
	case pos.Less(p.resumed) || !pos.Less(p.upTo):
		return nil
	default:
		n := sort.Search(len(p.entries), func(i int) bool { return pos.Less(p.entries[i].ID) })
		if n == 0 && pos != p.resumed && pos.isEntry() {
			return nil // it may be of another stream; see view.knows
		}
		resumed, reason, entries = pos, "", p.entries[n:]
	}
	again := *p // not before: most pages do not have it
	again.resumed, again.gapReason, again.entries = resumed, reason, entries
	// That the stream had come as far as the window was seen when it was read.
	again.last = MaxID
	return &again
}
