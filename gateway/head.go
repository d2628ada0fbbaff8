package gateway

import (
	"bytes"
	"net/http"
	"time"
)

// responseHead returns the head of an event stream's response on a connection
// that was taken over, with the headers that handlers before this one have
// set. The body ends with the connection: it needs no framing of its own, and
// the same bytes can be written to every client.
func responseHead(set http.Header) []byte {
	h := set.Clone()
	setStreamHeaders(h)
	h.Set("Connection", "close")
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var b bytes.Buffer
	b.Grow(512)
	b.WriteString("HTTP/1.1 200 OK\r\n")
	_ = h.Write(&b) // a bytes.Buffer does not fail
	b.WriteString("\r\n")
	return b.Bytes()
}
