package batch

import (
	"sync"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
	"github.com/sse-gateway/sse-gateway/gateway/internal/tally"
	"github.com/sse-gateway/sse-gateway/metrics"
)

const (
	// Max is how much a stream takes from its cursors for one write, in bytes: enough
	// to make the system call cheap.
	Max = 64 << 10
	// Slow is the same for a client that is slow to take it. It keeps what waits to be
	// written to thousands of those small.
	Slow = 4 << 10
	// largeFrame is the size from which on an event is not copied for each stream
	// that is sent it, in bytes: thousands of clients that do not read may have one.
	largeFrame = 16 << 10
)

// Buffer is a batch that is being made. One goroutine uses it.
type Buffer struct {
	B     []byte      // chunkRoom bytes, and then frames; what is appended to it is the batch's own
	Tally tally.Tally // what is in it

	large []byte // a large frame, shared, that follows B; nothing may be appended after it

	// Of a batch with the content coding gzip.
	gzip   bool
	stored int         // where in B the stored block begins that is open; -1: none is
	before deflate.Sum // of what the client was written
	sum    deflate.Sum // of that and the batch
}

// pool has buffers. A stream holds one only while it makes a batch.
var pool = sync.Pool{New: func() any { return &Buffer{B: make([]byte, 0, Max+Max/4)} }}

// New returns an empty buffer for about size bytes, which is not given back.
func New(size int) *Buffer { return &Buffer{B: make([]byte, chunkRoom, chunkRoom+size)} }

// Get returns an empty buffer.
func Get() *Buffer {
	b := pool.Get().(*Buffer)
	b.B, b.large = b.B[:chunkRoom], nil
	b.gzip, b.sum = false, deflate.Sum{}
	b.Tally.Reset()
	return b
}

// Put gives a buffer of Get back. One that a single large event has grown is left to
// the collector.
func (b *Buffer) Put() {
	if b.large = nil; cap(b.B) <= 2*Max {
		pool.Put(b)
	}
}

// BeginGzip has what follows coded. before is the sum of what the client was written,
// or that of nothing.
func (b *Buffer) BeginGzip(before deflate.Sum) {
	b.gzip, b.before, b.sum = true, before, before
	b.openStored()
}

// Sum returns the sum of what the client was written and the batch. It is called after
// Output.
func (b *Buffer) Sum() deflate.Sum { return b.sum }

func (b *Buffer) openStored() {
	b.stored = len(b.B)
	b.B = deflate.OpenStored(b.B)
}

// closeStored ends the stored block that is open, if there is one.
func (b *Buffer) closeStored() {
	if b.stored < 0 {
		return
	}
	b.sum = b.sum.Add(b.B[b.stored+deflate.StoredRoom:])
	b.B = deflate.CloseStored(b.B, b.stored)
	b.stored = -1
}

// AppendBody appends the body of a frame, which must never change, compressed if the
// batch is. share lets a large one be shared instead of copied. AppendBody then reports
// true: the batch is full.
func (b *Buffer) AppendBody(body []byte, blocks *deflate.Cache, share bool) (full bool) {
	if b.gzip {
		block := blocks.Block(body)
		if len(block.Data) == 0 { // it is too small to gain
			b.B = append(b.B, body...)
			return false
		}
		b.closeStored()
		b.sum = b.sum.Join(block.Part)
		if share && len(block.Data) >= largeFrame {
			b.large = block.Data
			return true
		}
		b.B = append(b.B, block.Data...)
		b.openStored()
		return false
	}
	if share && len(body) >= largeFrame {
		b.large = body
		return true
	}
	b.B = append(b.B, body...)
	return false
}

// Len returns how many bytes are in the buffer, without a shared one.
func (b *Buffer) Len() int { return len(b.B) - chunkRoom }

// Count adds to the metrics that the batch, of n bytes, was written to as many streams at
// now. It is called after Output.
func (b *Buffer) Count(m *metrics.Gateway, n, streams int, now time.Time) {
	m.Writes.Add(float64(streams))
	m.DeliveryBytes.Add(float64(n * streams))
	if b.gzip {
		m.GzipPlainBytes.Add(float64(b.sum.Size()-b.before.Size()) * float64(streams))
		m.GzipBytes.Add(float64((b.Len() + len(b.large)) * streams))
	}
	b.Tally.Count(streams, now)
}
