package sse

import (
	"bytes"
	"sync"
	"unicode/utf8"

	"github.com/sse-gateway/sse-gateway/store"
)

// reservedPrefix begins the names of the gateway's own events. No publisher may
// use it.
const reservedPrefix = "gateway."

// endField is the field of an entry with which its channel ends, whatever its
// value. It is not part of the event.
const endField = reservedPrefix + "end"

// Encoder makes event-stream frames of stream entries. It implements
// store.Encoder.
type Encoder struct{}

// EncodeEntry implements store.Encoder. Fields of a publisher become the data of
// the event and, if it is valid, the name of the event. They can never become
// another field or another event. An entry with nothing but the mark of the end has no frame.
func (Encoder) EncodeEntry(_ string, id store.ID, fields [][]byte) store.Encoded {
	var data, name []byte
	nameDropped, end := false, false
	hasData, hasName, hasOther := false, false, false
	for i := 0; i+1 < len(fields); i += 2 {
		switch {
		case string(fields[i]) == endField:
			end = true
		case !hasData && string(fields[i]) == "data":
			hasData, data = true, fields[i+1]
		case !hasName && string(fields[i]) == "event":
			hasName, name = true, fields[i+1]
		default:
			hasOther = true
		}
	}
	if end && !hasData && !hasName && !hasOther {
		return store.Encoded{End: true}
	}
	scratch := scratchPool.Get().(*[]byte)
	defer scratchPool.Put(scratch)
	b := AppendID((*scratch)[:0], id)
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
	return store.Encoded{Frame: bytes.Clone(b), NameDropped: nameDropped, End: end}
}

// scratchPool has buffers to make frames in. The frame that is kept is a copy of
// exactly its size.
var scratchPool = sync.Pool{New: func() any { return new([]byte) }}

// maxScratch is the largest buffer that is worth keeping, in bytes.
const maxScratch = 64 << 10

// EncodeGap implements store.Encoder.
func (Encoder) EncodeGap(gap store.Gap) []byte {
	return AppendGap(AppendID(nil, gap.Resumed), gap.Channel, gap.After.String(), gap.Resumed, gap.Reason)
}

// WithoutID returns a frame without its id line.
func WithoutID(frame []byte) []byte { return frame[bytes.IndexByte(frame, '\n')+1:] }

// validName reports whether a publisher's event name may be sent. CR and LF
// would end the line, and the text behind them would be another field. Browsers
// differ in what they make of NUL.
func validName(name []byte) bool {
	return !bytes.ContainsAny(name, "\r\n\x00") && !bytes.HasPrefix(name, []byte(reservedPrefix))
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
// without the event name and the mark of the end.
func appendObject(b []byte, fields [][]byte) []byte {
	b = append(b, '{')
	first := true
	for i := 0; i+1 < len(fields); i += 2 {
		if name := string(fields[i]); name == "event" || name == endField {
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
