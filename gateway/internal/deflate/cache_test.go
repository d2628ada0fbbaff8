package deflate

import (
	"bytes"
	"runtime"
	"slices"
	"sync"
	"testing"
)

func TestCacheMakesABlockOnce(t *testing.T) {
	c, body := NewCache(1<<20), object(2000, 1)
	blocks := make([]Block, 16)
	var wg sync.WaitGroup
	for i := range blocks {
		wg.Go(func() { blocks[i] = c.Block(body) })
	}
	wg.Wait()
	for _, b := range blocks {
		if &b.Data[0] != &blocks[0].Data[0] {
			t.Fatal("two callers have two blocks of one body")
		}
	}
	if got, want := c.Bytes(), len(blocks[0].Data)+cachedOverhead; got != want {
		t.Errorf("the cache counts %d bytes, want %d", got, want)
	}
}

// The address of a body that is gone may be another body's.
func TestCacheTellsBodiesApart(t *testing.T) {
	c := NewCache(1 << 20)
	for i := range uint64(300) {
		body := object(400, i)
		if got := inflateAlone(t, c.Block(body).Data); !bytes.Equal(got, body) {
			t.Fatalf("body %d comes back as another", i)
		}
		if i%60 == 0 {
			runtime.GC()
		}
	}
}

func TestCacheKeepsItsLimit(t *testing.T) {
	const limit = 100_000
	c := NewCache(limit)
	var alive [][]byte
	for i := range uint64(500) {
		alive = append(alive, object(1000, i))
		if block := c.Block(alive[i]); len(block.Data) == 0 {
			t.Fatal("there is no block")
		}
		if got := c.Bytes(); got > limit || i > 300 && got < limit/2 {
			t.Fatalf("%d bytes after %d bodies, the limit is %d", got, i, limit)
		}
	}
	if body := alive[0]; !bytes.Equal(inflateAlone(t, c.Block(body).Data), body) {
		t.Error("a block that was dropped comes back as another")
	}
	c.Block(slices.Repeat(noise(1000, 1), 300)) // larger than the limit when stored
	if got := c.Bytes(); got > limit {
		t.Errorf("%d bytes, the limit is %d", got, limit)
	}
	runtime.KeepAlive(alive)
}

func TestCacheForgetsWhatIsGone(t *testing.T) {
	c, body := NewCache(1<<30), object(300, 1)
	for i := range 8 * minSweep {
		c.Block(bytes.Clone(body))
		if i%minSweep == minSweep/2 {
			runtime.GC()
		}
	}
	if got, most := len(c.blocks), 4*minSweep; got > most {
		t.Errorf("%d blocks of bodies that are gone, want at most %d", got, most)
	}
}
