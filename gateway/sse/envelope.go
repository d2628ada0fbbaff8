package sse

import (
	"bytes"

	"github.com/sse-gateway/sse-gateway/store"
)

// AppendEnvelope appends the body of a frame, as WithoutID returns it, wrapped
// into one JSON object: data: {"channel":…,"id":…,"event":…,"data":…}. It may
// have six times the bytes of the frame. The id line is not part of it.
func AppendEnvelope(b []byte, channel string, id store.ID, body []byte) []byte {
	b = append(b, `data: {"channel":`...)
	b = appendJSON(b, channel)
	b = append(b, `,"id":"`...)
	b = id.AppendTo(b)
	b = append(b, `","event":"`...)
	if named, ok := bytes.CutPrefix(body, []byte("event: ")); ok {
		name, data, _ := bytes.Cut(named, []byte("\n"))
		b, body = appendEscaped(b, name), data
	} else {
		b = append(b, "message"...) // as browsers call an unnamed event
	}
	b = append(b, `","data":"`...)
	for first := true; len(body) > 1; first = false { // one byte is the empty line that ends the frame
		line, next, _ := bytes.Cut(body, []byte("\n"))
		if !first {
			b = append(b, '\\', 'n')
		}
		b = appendEscaped(b, bytes.TrimPrefix(line, []byte("data: ")))
		body = next
	}
	return append(b, "\"}\n\n"...)
}
