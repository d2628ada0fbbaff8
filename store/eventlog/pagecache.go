package eventlog

import (
	"slices"
	"sync"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// maxPages is how many pages a PageCache holds at most: it searches them one by
// one.
const maxPages = 128

// PageCache holds the pages of history that were read a moment ago. When many
// clients come back at once, they stand at different positions and read at
// different speeds, and most of what they miss is the same. The cache makes the
// number of reads independent of the number of clients. Its methods may be
// called concurrently.
//
// A page stays true after it was read: it holds all there was in a part of the
// stream. If the stream is reset, the log enters another epoch.
type PageCache struct {
	maxBytes int           // of all entries together
	ttl      time.Duration // how long a page is kept at least, unless there are too many

	// mu guards the pages, in the order in which they were added, and the sum
	// of their sizes.
	mu    sync.Mutex
	pages []cachedPage
	bytes int
}

type cachedPage struct {
	*Page
	log   *Log
	epoch uint32
	asked redisstream.ID // the position that it was read for
	added time.Time
}

// NewPageCache returns an empty cache of at most maxBytes. Expire drops what is
// older than ttl.
func NewPageCache(maxBytes int, ttl time.Duration) *PageCache {
	return &PageCache{maxBytes: maxBytes, ttl: ttl}
}

// Add keeps an accepted page that was read for a position and epoch of a log.
// A page without entries is not kept: it may say that the position is in the
// future, which time makes untrue.
func (r *PageCache) Add(l *Log, epoch uint32, asked redisstream.ID, p *Page, now time.Time) {
	if len(p.Entries) == 0 || !p.accepted {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pages = append(r.pages, cachedPage{p, l, epoch, asked, now})
	r.bytes += sizeOf(p.Entries)
	for r.bytes > r.maxBytes || len(r.pages) > maxPages {
		r.dropOldest()
	}
}

// Find returns what follows the position if a page has it, else nil. The result
// is an accepted page.
func (r *PageCache) Find(l *Log, epoch uint32, pos redisstream.ID) *Page {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range slices.Backward(r.pages) {
		if p.log == l && p.epoch == epoch {
			if found := p.answer(p.asked, pos); found != nil {
				return found
			}
		}
	}
	return nil
}

// Expire drops the pages that were added ttl ago or earlier.
func (r *PageCache) Expire(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.pages) > 0 && now.Sub(r.pages[0].added) >= r.ttl {
		r.dropOldest()
	}
}

// dropOldest drops the page that was added first. The caller holds mu.
func (r *PageCache) dropOldest() {
	r.bytes -= sizeOf(r.pages[0].Entries)
	r.pages = slices.Delete(r.pages, 0, 1)
}
