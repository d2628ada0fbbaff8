package deflate

import (
	"sync"
	"weak"
)

// Cache has the blocks of bodies that somebody else keeps in memory. Each body is
// compressed once, when somebody first wants its block. Its methods may be called
// concurrently.
type Cache struct {
	maxBytes int

	// mu guards the fields below. Invariant: bytes is the sum over the cached blocks.
	mu     sync.Mutex
	blocks map[weak.Pointer[byte]]*cached // by the first byte of the body
	bytes  int
	sweep  int // the number of blocks at which those of dead bodies are dropped
}

// cached is a block that is there, or is being made.
type cached struct {
	once  sync.Once
	block Block
	size  int // what it counts for; 0: it is being made
}

const (
	// cachedOverhead is what a block costs besides its data: the entry of the map, the
	// weak pointer and the struct. In bytes.
	cachedOverhead = 192
	// minSweep is the smallest number of blocks that is worth a sweep.
	minSweep = 64
)

// NewCache returns a cache of at most maxBytes, and a little more for the blocks that
// are being made.
func NewCache(maxBytes int) *Cache {
	return &Cache{maxBytes: maxBytes, blocks: make(map[weak.Pointer[byte]]*cached), sweep: minSweep}
}

// Block returns the block of a body, as Compress does. The body must never change, and
// no other body may begin at the same byte of memory. Callers that want the same block
// wait for the first to make it.
func (c *Cache) Block(body []byte) Block {
	if len(body) < minBody {
		return Block{}
	}
	key := weak.Make(&body[0])
	c.mu.Lock()
	b := c.blocks[key]
	if b == nil {
		if len(c.blocks) >= c.sweep {
			c.dropDead()
		}
		b = new(cached)
		c.blocks[key] = b
	}
	c.mu.Unlock()
	b.once.Do(func() {
		b.block = Compress(body)
		c.book(key, b)
	})
	return b.block
}

// book counts a block that was just made. If there are too many bytes, it drops a
// quarter of them, so that it has to look through the cache seldom.
func (c *Cache) book(key weak.Pointer[byte], b *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blocks[key] != b {
		return // it was dropped meanwhile
	}
	b.size = len(b.block.Data) + cachedOverhead
	if c.bytes += b.size; c.bytes <= c.maxBytes {
		return
	}
	c.dropDead()
	for k := range c.blocks { // in no order: any of them can be made again
		if c.bytes <= c.maxBytes/4*3 {
			break
		}
		c.drop(k)
	}
}

// dropDead drops the blocks whose bodies are in memory no more. The caller holds mu.
func (c *Cache) dropDead() {
	for k := range c.blocks {
		if k.Value() == nil {
			c.drop(k)
		}
	}
	c.sweep = max(minSweep, 2*len(c.blocks))
}

// drop drops a block. The caller holds mu.
func (c *Cache) drop(k weak.Pointer[byte]) {
	c.bytes -= c.blocks[k].size
	delete(c.blocks, k)
}

// Bytes returns the size of the blocks.
func (c *Cache) Bytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}
