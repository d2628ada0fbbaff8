package conn

import (
	"bytes"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// SetStreamHeaders sets what every event stream is answered with. No proxy may keep
// it, change it or hold it back.
func SetStreamHeaders(h http.Header) {
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
}

// headerSize is about how many bytes a response header has, with those of handlers.
const headerSize = 512

// fixedHeader is the part of the response header that is always the same.
var fixedHeader = func() string {
	h := http.Header{}
	SetStreamHeaders(h)
	var b strings.Builder
	b.WriteString("HTTP/1.1 200 OK\r\n")
	_ = h.Write(&b) // a strings.Builder does not fail
	return b.String()
}()

// ResponseHeader returns the header block of an event stream's response on a hijacked
// connection, with the headers that handlers before this one have set. A body that is
// not chunked, which is for clients of HTTP/1.0, ends with the connection.
//
// A chunked response does not say that the connection is closed after it, although it
// is: undici, the fetch of Node, takes the end of such a connection for the end of the
// body, with or without the last chunk.
func ResponseHeader(set http.Header, chunked bool) []byte {
	var b bytes.Buffer
	b.Grow(headerSize)
	b.WriteString(fixedHeader)
	if chunked {
		b.WriteString("Transfer-Encoding: chunked\r\n")
	} else {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("Date: ")
	b.WriteString(httpDate(time.Now()))
	b.WriteString("\r\n")
	_ = set.Write(&b) // a bytes.Buffer does not fail
	b.WriteString("\r\n")
	return b.Bytes()
}

// dateLine is a second and how the Date header writes it.
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
