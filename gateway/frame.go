package gateway

import (
	"bytes"
	"sync"
	"unicode/utf8"

	"github.com/sse-gateway/sse-gateway/store"
)

// Frames are written as the event-stream format has them:
// https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream.
// A frame that comes from a stream entry begins with its id line, so that a
// connection to several channels can put its own in front of the shared rest.

// ownPrefix begins the names of the gateway's own events; no publisher may use
// it.
const ownPrefix = "gateway."

// FrameEncoder makes event-stream frames of stream entries. It is the
// store.Encoder of the gateway.
type FrameEncoder struct{}

// EncodeEntry implements store.Encoder. What a publisher writes can become
// data and, if it is a proper one, the name of the event, and nothing else.
func (FrameEncoder) EncodeEntry(_ string, id store.ID, fields [][]byte) store.Encoded {
	var data, name []byte
	nameDropped := false
	hasData, hasName := false, false
	for i := 0; i+1 < len(fields); i += 2 {
		switch {
		case !hasData && string(fields[i]) == "data":
			hasData, data = true, fields[i+1]
		case !hasName && string(fields[i]) == "event":
			hasName, name = true, fields[i+1]
		}
	}
	scratch := scratchPool.Get().(*[]byte)
	defer scratchPool.Put(scratch)
	b := appendID((*scratch)[:0], id)
	if len(name) > 0 {
		if validName(name) {
			b = append(appendUTF8(append(b, "event: "...), name), '\n')
		} else {
			nameDropped = true
		}
	}
	if hasData {
		b = appendData(b, data)
	} else {
		b = append(appendObject(append(b, "data: "...), fields), '\n')
	}
	b = append(b, '\n')
	if cap(b) <= maxScratch {
		*scratch = b
	}
	return store.Encoded{Frame: bytes.Clone(b), NameDropped: nameDropped}
}

// scratchPool has buffers to make frames in; what is kept of a frame is a copy
// of just its size.
var scratchPool = sync.Pool{New: func() any { return new([]byte) }}

// maxScratch is the largest buffer that is worth keeping, in bytes.
const maxScratch = 64 << 10

// EncodeGap implements store.Encoder.
func (FrameEncoder) EncodeGap(gap store.Gap) []byte {
	return append(appendGapRest(appendID(nil, gap.Resumed), gap), '\n')
}

func appendID(b []byte, id store.ID) []byte {
	return append(id.AppendTo(append(b, "id: "...)), '\n')
}

// rest returns a frame without its id line.
func rest(frame []byte) []byte { return frame[bytes.IndexByte(frame, '\n')+1:] }

// validName reports whether a publisher's event name may be sent. CR and LF
// would end the line and let what follows pass for another field; browsers
// ignore neither those nor NUL in the same way.
func validName(name []byte) bool {
	return !bytes.ContainsAny(name, "\r\n\x00") && !bytes.HasPrefix(name, []byte(ownPrefix))
}

// appendData appends data as one line per line of it, each ended by CR, LF or
// both.
func appendData(b, data []byte) []byte {
	for {
		b = append(b, "data: "...)
		i := bytes.IndexAny(data, "\r\n")
		if i < 0 {
			return append(appendUTF8(b, data), '\n')
		}
		b = append(appendUTF8(b, data[:i]), '\n')
		if data[i] == '\r' && i+1 < len(data) && data[i+1] == '\n' {
			i++
		}
		data = data[i+1:]
	}
}

// appendUTF8 appends s with U+FFFD in place of every byte that is not UTF-8, as
// appendJSON does.
func appendUTF8(b, s []byte) []byte {
	if utf8.Valid(s) {
		return append(b, s...)
	}
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		b = utf8.AppendRune(b, r)
		s = s[n:]
	}
	return b
}

// appendObject appends the fields of an entry as a JSON object, in order and
// without the event name.
func appendObject(b []byte, fields [][]byte) []byte {
	b = append(b, '{')
	first := true
	for i := 0; i+1 < len(fields); i += 2 {
		if string(fields[i]) == "event" {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendJSON(b, fields[i])
		b = append(b, ':')
		b = appendJSON(b, fields[i+1])
	}
	return append(b, '}')
}

// appendJSON appends s as a JSON string on one line.
func appendJSON[T string | []byte](b []byte, s T) []byte {
	return append(appendEscaped(append(b, '"'), s), '"')
}

// appendEscaped is appendJSON without the quotes.
func appendEscaped[T string | []byte](b []byte, s T) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			case c >= ' ' && c != 0x7f:
				b = append(b, c)
			case c == '\n':
				b = append(b, '\\', 'n')
			case c == '\r':
				b = append(b, '\\', 'r')
			case c == '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			continue
		}
		// The longest sequence is four bytes, which a string conversion of
		// that much does not allocate.
		r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		b = utf8.AppendRune(b, r)
		i += n
	}
	return b
}

// appendGapRest appends a gap event without its id line and the empty line.
func appendGapRest(b []byte, gap store.Gap) []byte {
	return appendGapData(b, gap.Channel, gap.After.String(), gap.Resumed, gap.Reason)
}

func appendGapData(b []byte, channel, after string, resumed store.ID, reason string) []byte {
	b = append(b, "event: gateway.gap\ndata: {\"channel\":"...)
	b = appendJSON(b, channel)
	b = append(b, `,"after":`...)
	if after == "" {
		b = append(b, "null"...)
	} else {
		b = appendJSON(b, after)
	}
	b = append(b, `,"resumed":"`...)
	b = resumed.AppendTo(b)
	b = append(b, `","reason":`...)
	b = appendJSON(b, reason)
	return append(b, "}\n"...)
}
