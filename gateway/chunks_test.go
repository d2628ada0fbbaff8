package gateway

import (
	"bytes"
	"fmt"
	"strconv"
)

// chunkDecoder decodes a chunked body (RFC 9112, section 7.1) that comes in pieces of
// any size. Unlike net/http's it can go on after a read that met its deadline.
type chunkDecoder struct {
	line  []byte // of what is not data
	left  int    // of the data of the chunk; -1 and -2: its CRLF
	chunk int    // chunks so far
	ended bool   // the last chunk and the empty line have come
	err   error
}

// decode returns the data in the next bytes of the body.
func (d *chunkDecoder) decode(b []byte) (data []byte) {
	for len(b) > 0 && d.err == nil {
		switch {
		case d.ended:
			d.err = fmt.Errorf("%d bytes after the last chunk", len(b))
		case d.left > 0:
			n := min(d.left, len(b))
			data = append(data, b[:n]...)
			b = b[n:]
			if d.left -= n; d.left == 0 {
				d.left = -2
			}
		case d.left < 0:
			if b[0] != "\r\n"[2+d.left] {
				d.err = fmt.Errorf("chunk %d does not end with CRLF but with %q", d.chunk, b[0])
			}
			d.left++
			b = b[1:]
		default:
			i := bytes.IndexByte(b, '\n')
			d.line = append(d.line, b[:i+1]...)
			if i < 0 {
				d.line = append(d.line, b...)
				return data
			}
			b = b[i+1:]
			d.sizeLine()
		}
	}
	return data
}

// sizeLine takes in a line that is not data.
func (d *chunkDecoder) sizeLine() {
	text := string(d.line)
	d.line = nil
	size, err := strconv.ParseUint(string(bytes.TrimSuffix([]byte(text), []byte("\r\n"))), 16, 31)
	switch {
	case d.chunk < 0: // the line after the last chunk
		d.ended = true
		if text != "\r\n" {
			d.err = fmt.Errorf("the body has a trailer: %q", text)
		}
	case err != nil:
		d.err = fmt.Errorf("chunk %d has the size %q", d.chunk, text)
	case size == 0:
		d.chunk = -1
	default:
		d.left = int(size)
		d.chunk++
	}
}
