package batch

import (
	"slices"

	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
)

// chunkRoom is the room in front of a batch for the size line of a chunk, in bytes:
// eight hexadecimal digits and CRLF.
const chunkRoom = 10

// endOfChunk follows the data of a chunk, and lastChunk ends a chunked body
// (RFC 9112, section 7.1).
const (
	endOfChunk = "\r\n"
	lastChunk  = "0\r\n\r\n"
)

// Output is what one client is still to be written. Its bytes may be shared with other
// streams: they are not changed.
type Output struct {
	own, large []byte // in this order
	end        string // endOfChunk, or what is left of it
	kept       bool   // own stays when the buffer is used again
}

// Plain returns the output of some bytes, which stay as they are.
func Plain(b []byte) Output { return Output{own: b, kept: true} }

// Size returns how many bytes are left.
func (o *Output) Size() int { return len(o.own) + len(o.large) + len(o.end) }

// Next returns bytes to be written next; none if all are written.
func (o *Output) Next() []byte {
	switch {
	case len(o.own) > 0:
		return o.own
	case len(o.large) > 0:
		return o.large
	}
	return []byte(o.end)
}

// Wrote notes that the first n bytes of Next were written.
func (o *Output) Wrote(n int) {
	switch {
	case len(o.own) > 0:
		o.own = o.own[n:]
	case len(o.large) > 0:
		o.large = o.large[n:]
	default:
		o.end = o.end[n:]
	}
}

// Keep returns the output in memory that stays when the buffer is used again. What has
// been kept is not copied again: thousands of slow clients share the rest of one batch.
func (o *Output) Keep() Output {
	if o.kept {
		return *o
	}
	return Output{slices.Clone(o.own), o.large, o.end, true}
}

// Output returns the batch, which is complete, as it is written. It is one chunk if the
// body is chunked.
func (b *Buffer) Output(chunked bool) Output {
	if b.gzip && b.stored >= 0 {
		begin := b.stored
		if b.closeStored(); len(b.B) > begin {
			b.B = deflate.AppendFlush(b.B)
		}
	}
	switch size := b.Len() + len(b.large); {
	case size == 0:
		return Output{}
	case !chunked:
		return Output{own: b.B[chunkRoom:], large: b.large}
	case len(b.large) > 0:
		return Output{own: b.B[sizeLine(b.B, size):], large: b.large, end: endOfChunk}
	default:
		all := append(b.B, endOfChunk...) // not in b.B: others are written the batch without it
		return Output{own: all[sizeLine(all, size):]}
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

// End returns the output that ends a body with some last frames, which may be none. A
// client takes the end of a connection without that end for an error, as it must if the
// process is killed. coded is the sum of what was written of a body with the content
// coding gzip; nil: it has none.
func End(frames []byte, chunked bool, coded *deflate.Sum) Output {
	b := New(len(frames) + 4*chunkRoom)
	b.B = append(b.B, frames...)
	if coded != nil {
		b.B = deflate.AppendEnd(deflate.AppendStored(b.B[:chunkRoom], frames), coded.Add(frames))
	}
	out := b.Output(chunked)
	if chunked {
		out.own = append(out.own, lastChunk...)
	}
	return out
}
