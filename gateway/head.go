package gateway

import (
	"bytes"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// takenHead is the part of responseHead that is always the same.
var takenHead = func() string {
	h := http.Header{"Connection": {"close"}}
	setStreamHeaders(h)
	var b strings.Builder
	b.WriteString("HTTP/1.1 200 OK\r\n")
	_ = h.Write(&b) // a strings.Builder does not fail
	return b.String()
}()

// responseHead returns the head of an event stream's response on a connection
// that was taken over, with the headers that handlers before this one have
// set. The body ends with the connection: it needs no framing of its own, and
// the same bytes can be written to every client.
func responseHead(set http.Header) []byte {
	var b bytes.Buffer
	b.Grow(512)
	b.WriteString(takenHead)
	b.WriteString("Date: ")
	b.WriteString(httpDate(time.Now()))
	b.WriteString("\r\n")
	_ = set.Write(&b) // a bytes.Buffer does not fail
	b.WriteString("\r\n")
	return b.Bytes()
}

// dateLine is a second as the Date header has it.
type dateLine struct {
	unix int64
	text string
}

var lastDate atomic.Pointer[dateLine]

// httpDate formats a time, once a second: thousands of clients may come in one.
func httpDate(now time.Time) string {
	d := lastDate.Load()
	if d == nil || d.unix != now.Unix() {
		d = &dateLine{now.Unix(), now.UTC().Format(http.TimeFormat)}
		lastDate.Store(d)
	}
	return d.text
}
