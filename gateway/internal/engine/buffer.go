package engine

import (
	"slices"
	"sync"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

const (
	// maxBatch is how much a stream takes from its cursors for one write, in
	// bytes: enough to make the system call cheap.
	maxBatch = 64 << 10
	// slowBatch is the same for a client that is slow to take it. It keeps what
	// waits to be written to thousands of those small.
	slowBatch = 4 << 10
	// largeFrame is the size from which on an event is not copied for each stream
	// that is sent it, in bytes: thousands of clients that do not read may have one.
	largeFrame = 16 << 10
)

// buffer is the batch that is being made for one client, or for all who stand at
// one place, and what is to be counted once it was written.
type buffer struct {
	b       []byte  // chunkRoom bytes, and then the stream's own part
	large   []byte  // a large frame, shared, that follows b; nothing may be appended to b after it
	tallies []tally // one for each namespace that has something in it, mostly one

	// Of a batch with the content coding gzip.
	gzip   bool
	stored int         // where in b the stored block begins that is open; -1: none is
	before deflate.Sum // of what the client was written
	sum    deflate.Sum // of that and the batch
}

// tally is what a batch has of one namespace.
type tally struct {
	of     *metrics.Namespace
	events int
	live   []uint64 // of live events, the milliseconds in their ids
	gaps   []string // reasons
}

// bufferPool has buffers. A stream holds one only while it makes a batch.
var bufferPool = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, maxBatch+maxBatch/4)} }}

// chunkRoom is the room in front of a batch for the size line of a chunk, in bytes:
// eight hexadecimal digits and CRLF.
const chunkRoom = 10

// endOfChunk follows the data of a chunk, and lastChunk ends a chunked body
// (RFC 9112, section 7.1).
const (
	endOfChunk = "\r\n"
	lastChunk  = "0\r\n\r\n"
)

// getBuffer returns an empty buffer.
func getBuffer() *buffer {
	t := bufferPool.Get().(*buffer)
	t.b, t.large, t.tallies = t.b[:chunkRoom], nil, t.tallies[:0]
	t.gzip, t.sum = false, deflate.Sum{}
	return t
}

// beginGzip has the batch coded. before is the sum of what its client was written, or
// that of nothing.
func (t *buffer) beginGzip(before deflate.Sum) {
	t.gzip, t.before, t.sum = true, before, before
	t.openStored()
}

func (t *buffer) openStored() {
	t.stored = len(t.b)
	t.b = deflate.OpenStored(t.b)
}

// closeStored ends the stored block that is open, if there is one.
func (t *buffer) closeStored() {
	if t.stored < 0 {
		return
	}
	t.sum = t.sum.Add(t.b[t.stored+deflate.StoredRoom:])
	t.b = deflate.CloseStored(t.b, t.stored)
	t.stored = -1
}

// appendBlock appends a block. If it may and the block is large, it leaves it in
// t.large.
func (t *buffer) appendBlock(block deflate.Block, mayLeave bool) {
	t.closeStored()
	t.sum = t.sum.Join(block.Part)
	if mayLeave && len(block.Data) >= largeFrame {
		t.large = block.Data
		return
	}
	t.b = append(t.b, block.Data...)
	t.openStored()
}

// putBuffer gives a buffer back. One that a single large event has grown is left to
// the collector.
func putBuffer(t *buffer) {
	if t.large = nil; cap(t.b) <= 2*maxBatch {
		bufferPool.Put(t)
	}
}

// output is what one client is still to be written, in this order. Own may be shared
// with other streams, as large always is: neither is changed.
type output struct {
	own, large []byte
	end        string // endOfChunk, or what is left of it
}

func (o *output) size() int { return len(o.own) + len(o.large) + len(o.end) }

// output returns the batch, which is complete, as it is written. It is one chunk if the
// body is chunked.
func (t *buffer) output(chunked bool) output {
	if t.gzip && t.stored >= 0 {
		begin := t.stored
		if t.closeStored(); len(t.b) > begin {
			t.b = deflate.AppendFlush(t.b)
		}
	}
	switch size := len(t.b) - chunkRoom + len(t.large); {
	case size == 0:
		return output{}
	case !chunked:
		return output{own: t.b[chunkRoom:], large: t.large}
	case len(t.large) > 0:
		return output{own: t.b[sizeLine(t.b, size):], large: t.large, end: endOfChunk}
	default:
		b := append(t.b, endOfChunk...) // not in t.b: others are written the batch without it
		return output{own: b[sizeLine(b, size):]}
	}
}

// sizeLine writes the size line of a chunk into the room in front of it, and returns
// where the line begins.
func sizeLine(b []byte, size int) int {
	i := chunkRoom - len(endOfChunk)
	copy(b[i:], endOfChunk)
	for ; size > 0; size >>= 4 {
		i--
		b[i] = "0123456789abcdef"[size&15]
	}
	return i
}

// appendChunk appends a chunk with p.
func appendChunk(b []byte, p []byte) []byte {
	var room [chunkRoom]byte
	b = append(b, room[sizeLine(room[:], len(p)):]...)
	return append(append(b, p...), endOfChunk...)
}

// own returns what is left of a batch after n bytes were written, in memory of its
// own.
func (o *output) kept() *output {
	return &output{own: slices.Clone(o.own), large: o.large, end: o.end}
}

// tally returns the batch's tally of a namespace.
func (t *buffer) tally(of *metrics.Namespace) *tally {
	n := len(t.tallies)
	for i := n - 1; i >= 0; i-- {
		if t.tallies[i].of == of {
			return &t.tallies[i]
		}
	}
	if n == cap(t.tallies) {
		t.tallies = append(t.tallies, tally{of: of})
		return &t.tallies[n]
	}
	t.tallies = t.tallies[:n+1] // one of an earlier batch, whose slices are used again
	y := &t.tallies[n]
	y.of, y.events, y.live, y.gaps = of, 0, y.live[:0], y.gaps[:0]
	return y
}

func (y *tally) gap(reason string) { y.gaps = append(y.gaps, reason) }

func (y *tally) event(id store.ID, live bool) {
	y.events++
	if live {
		y.live = append(y.live, id.Ms)
	}
}

// count counts that the batch, of n bytes, was written to as many streams.
func (t *buffer) count(m *metrics.Gateway, n, streams int, now time.Time) {
	m.Writes.Add(float64(streams))
	m.DeliveryBytes.Add(float64(n * streams))
	if t.gzip {
		m.GzipPlainBytes.Add(float64(t.sum.Size()-t.before.Size()) * float64(streams))
		m.GzipBytes.Add(float64((len(t.b) - chunkRoom + len(t.large)) * streams))
	}
	for i := range t.tallies {
		t.tallies[i].count(streams, now)
	}
}

func (y *tally) count(streams int, now time.Time) {
	if y.events > 0 {
		y.of.Deliveries.Add(float64(y.events * streams))
	}
	y.observe(streams, now)
	for _, reason := range y.gaps {
		y.of.Gaps.WithLabelValues(reason).Add(float64(streams))
	}
}

// maxLatency is the difference between an id's time and the time of the write from
// which on it is no latency: publishers may choose ids of their own.
const maxLatency = time.Hour

// observe counts the latency of the live events.
func (y *tally) observe(streams int, now time.Time) {
	ms := uint64(now.UnixMilli())
	for i := 0; i < len(y.live); {
		run := i + 1 // events of one millisecond are counted together
		for run < len(y.live) && y.live[run] == y.live[i] {
			run++
		}
		// Signed, or in nanoseconds, the difference to an id that a publisher chose
		// could overflow.
		switch at := y.live[i]; {
		case at <= ms && ms-at < uint64(maxLatency.Milliseconds()):
			y.of.DeliveryLatency.Observe(time.Duration(ms-at)*time.Millisecond, (run-i)*streams)
		case at > ms && at-ms < uint64(maxLatency.Milliseconds()): // clocks differ
			y.of.DeliveryLatency.Observe(0, (run-i)*streams)
		}
		i = run
	}
}
