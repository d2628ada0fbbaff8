package stream

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// maxHead bounds a response head in bytes; browsers allow 256 KiB, no SSE
// server needs a tenth of this.
const maxHead = 16 << 10

var errHeadTooLong = fmt.Errorf("response head longer than %d bytes", maxHead)

// Head is what matters of an HTTP/1.1 response head.
type Head struct {
	Status      int
	EventStream bool // Content-Type is text/event-stream
	Chunked     bool
	Gzip        bool  // the body has the content coding gzip
	Length      int64 // Content-Length, or -1
}

// HeadParser collects a response head that may arrive in any pieces. The zero
// value is ready. It is used again for the next connection after reset.
type HeadParser struct {
	buf []byte // what has arrived, only while it is incomplete
}

// Reset forgets the connection before.
func (h *HeadParser) Reset() { h.buf = nil }

// Feed takes the next bytes. used says how many of p belong to the head (or to
// a 1xx head before it); r is set once done is true.
func (h *HeadParser) Feed(p []byte) (r Head, used int, done bool, err error) {
	for {
		head, n, complete := h.take(p[used:])
		used += n
		if !complete {
			if len(h.buf) > maxHead {
				return Head{}, used, false, errHeadTooLong
			}
			return Head{}, used, false, nil
		}
		r, err = parseHead(head)
		h.buf = nil
		if err != nil {
			return r, used, false, err
		}
		if r.Status >= 200 || r.Status == 101 {
			return r, used, true, nil
		}
	}
}

// take returns the head up to and with its empty line, without a copy when it
// arrived in one piece.
func (h *HeadParser) take(p []byte) (head []byte, used int, complete bool) {
	if len(h.buf) == 0 {
		if end := headEnd(p); end >= 0 {
			return p[:end], end, true
		}
		h.buf = append(h.buf, p...)
		return nil, len(p), false
	}
	before := len(h.buf)
	h.buf = append(h.buf, p...)
	// The empty line may have begun in the piece before.
	from := max(before-3, 0)
	if end := headEnd(h.buf[from:]); end >= 0 {
		end += from
		return h.buf[:end], end - before, true
	}
	return nil, len(p), false
}

// headEnd returns the index after the empty line that ends a head, or -1.
func headEnd(b []byte) int {
	if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
		return i + 4
	}
	return -1
}

func parseHead(head []byte) (Head, error) {
	r := Head{Length: -1}
	line, rest := cutLine(head)
	// "HTTP/1.1 200 OK"
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[8] != ' ' {
		return r, fmt.Errorf("not an HTTP/1 response: %.40q", line)
	}
	status, ok := digits(line[9:12])
	if !ok || status < 100 {
		return r, fmt.Errorf("not an HTTP status line: %.40q", line)
	}
	r.Status = int(status)
	for {
		if line, rest = cutLine(rest); len(line) == 0 {
			return r, nil
		}
		if err := r.header(line); err != nil {
			return r, err
		}
	}
}

func cutLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte("\r\n"))
	return line, rest
}

func (r *Head) header(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return fmt.Errorf("malformed header line %.40q", line)
	}
	value = bytes.TrimSpace(value)
	switch {
	case bytes.EqualFold(name, []byte("content-type")):
		media, _, _ := bytes.Cut(value, []byte(";"))
		r.EventStream = bytes.EqualFold(bytes.TrimSpace(media), []byte("text/event-stream"))
	case bytes.EqualFold(name, []byte("transfer-encoding")):
		if !bytes.EqualFold(value, []byte("chunked")) {
			return fmt.Errorf("transfer encoding %.40q is not understood", value)
		}
		r.Chunked = true
	case bytes.EqualFold(name, []byte("content-encoding")):
		if r.Gzip = bytes.EqualFold(value, []byte("gzip")); !r.Gzip {
			return fmt.Errorf("content coding %.40q is not understood", value)
		}
	case bytes.EqualFold(name, []byte("content-length")):
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 {
			return errors.New("malformed Content-Length")
		}
		r.Length = n
	}
	return nil
}
