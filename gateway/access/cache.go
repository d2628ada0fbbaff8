package access

import (
	"sync"
	"time"
)

// cacheSize bounds the answers that are kept. At about 200 bytes each that is
// 2 MB.
const cacheSize = 10000

// cache keeps allowing answers for a short time. It has two generations: when
// the younger is full or as old as an answer may get, the older is dropped as a
// whole. So it is bounded without a list of who was used last.
type cache struct {
	ttl  time.Duration
	half int // most answers in one generation

	// mu guards the rest. An answer is never given out at or after its until.
	mu         sync.Mutex
	young, old map[digest]cached
	born       time.Time // of young
}

type cached struct {
	until time.Time // of the answer
	grant Grant
}

func newCache(ttl time.Duration, size int) *cache {
	return &cache{ttl: ttl, half: max(1, size/2), young: make(map[digest]cached), born: time.Now()}
}

// get returns the grant that was put for key and is still good.
func (c *cache) get(key digest) (Grant, bool) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.young[key]
	if !ok {
		a, ok = c.old[key]
	}
	if !ok || !now.Before(a.until) {
		return Grant{}, false
	}
	return a.grant, true
}

// put keeps a grant for the TTL from asked on, or until it expires.
func (c *cache) put(key digest, asked time.Time, g Grant) {
	until := asked.Add(c.ttl)
	if !g.Expires.IsZero() && g.Expires.Before(until) {
		until = g.Expires
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.half || now.Sub(c.born) >= c.ttl {
		c.old, c.young, c.born = c.young, make(map[digest]cached), now
	}
	c.young[key] = cached{until: until, grant: g}
}

// size returns how many answers are held.
func (c *cache) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.young) + len(c.old)
}
