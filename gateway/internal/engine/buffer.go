package engine

import (
	"slices"
	"sync"
	"time"

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
	b      []byte // chunkRoom bytes, and then the stream's own part
	large  []byte // a large frame, shared, that follows b; nothing may be appended to b after it
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
	t.b, t.large, t.events, t.live, t.gaps = t.b[:chunkRoom], nil, 0, t.live[:0], t.gaps[:0]
	return t
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

// output returns the batch as it is written. It is one chunk if the body is chunked.
// It must be called once.
func (t *buffer) output(chunked bool) output {
	switch size := len(t.b) - chunkRoom + len(t.large); {
	case size == 0:
		return output{}
	case !chunked:
		return output{own: t.b[chunkRoom:], large: t.large}
	case len(t.large) > 0:
		return output{own: t.b[sizeLine(t.b, size):], large: t.large, end: endOfChunk}
	default:
		t.b = append(t.b, endOfChunk...)
		return output{own: t.b[sizeLine(t.b, size):]}
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

func (t *buffer) gap(reason string) { t.gaps = append(t.gaps, reason) }

func (t *buffer) event(id store.ID, live bool) {
	t.events++
	if live {
		t.live = append(t.live, id.Ms)
	}
}

// count counts that the batch, of n bytes, was written to as many streams.
func (t *buffer) count(m *metrics.Gateway, n, streams int, now time.Time) {
	m.Writes.Add(float64(streams))
	m.DeliveryBytes.Add(float64(n * streams))
	if t.events > 0 {
		m.Deliveries.Add(float64(t.events * streams))
	}
	t.observe(m, streams, now)
	for _, reason := range t.gaps {
		m.Gaps.WithLabelValues(reason).Add(float64(streams))
	}
}

// maxLatency is the difference between an id's time and the time of the write from
// which on it is no latency: publishers may choose ids of their own.
const maxLatency = time.Hour

// observe counts the latency of the live events.
func (t *buffer) observe(m *metrics.Gateway, streams int, now time.Time) {
	ms := uint64(now.UnixMilli())
	for i := 0; i < len(t.live); {
		run := i + 1 // events of one millisecond are counted together
		for run < len(t.live) && t.live[run] == t.live[i] {
			run++
		}
		// Signed, or in nanoseconds, the difference to an id that a publisher chose
		// could overflow.
		switch at := t.live[i]; {
		case at <= ms && ms-at < uint64(maxLatency.Milliseconds()):
			m.DeliveryLatency.Observe(time.Duration(ms-at)*time.Millisecond, (run-i)*streams)
		case at > ms && at-ms < uint64(maxLatency.Milliseconds()): // clocks differ
			m.DeliveryLatency.Observe(0, (run-i)*streams)
		}
		i = run
	}
}
