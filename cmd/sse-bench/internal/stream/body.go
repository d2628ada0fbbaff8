package stream

import (
	"errors"
	"io"
)

// errChunk is returned for a body that is not in valid chunked coding.
var errChunk = errors.New("malformed chunked body")

type bodyState uint8

const (
	bodyUntilClose bodyState = iota
	bodyLength               // a Content-Length counts down
	chunkSize                // in the hexadecimal size
	chunkExtension           // after it, up to the line feed
	chunkData
	chunkDataEnd // CRLF after the data
	trailerStart // at the start of a line after the last chunk
	trailerLine
	bodyOver
)

// Body takes the coding off an HTTP/1.1 response body, without copies.
type Body struct {
	left   int64 // bytes left of the chunk or of Content-Length
	state  bodyState
	digits uint8 // of the chunk size so far
}

// Reset prepares for the body that belongs to a head.
func (r *Body) Reset(h Head) {
	*r = Body{}
	switch {
	case h.Chunked:
		r.state = chunkSize
	case h.Length >= 0:
		r.state, r.left = bodyLength, h.Length
	}
}

// Next returns the next piece of content in p and what is left of p after it.
// It returns io.EOF when the body is complete, errChunk when it is malformed.
func (r *Body) Next(p []byte) (data, rest []byte, err error) {
	for {
		switch r.state {
		case bodyUntilClose:
			return p, nil, nil
		case bodyLength:
			data, rest = r.content(p)
			if r.left == 0 {
				r.state = bodyOver
			}
			return data, rest, nil
		case bodyOver:
			return nil, nil, io.EOF
		case chunkData:
			data, rest = r.content(p)
			if r.left == 0 {
				r.state = chunkDataEnd
			}
			return data, rest, nil
		}
		if len(p) == 0 {
			return nil, nil, nil
		}
		c := p[0]
		p = p[1:]
		if err := r.frame(c); err != nil {
			return nil, nil, err
		}
	}
}

// Done tells whether the body has ended by its own framing.
func (r *Body) Done() bool {
	return r.state == bodyOver || r.state == bodyLength && r.left == 0
}

func (r *Body) content(p []byte) (data, rest []byte) {
	n := min(int64(len(p)), r.left)
	r.left -= n
	return p[:n], p[n:]
}

// frame takes one byte that is not content.
func (r *Body) frame(c byte) error {
	switch r.state {
	case chunkSize:
		return r.sizeByte(c)
	case chunkExtension:
		if c == '\n' {
			r.sizeDone()
		}
	case chunkDataEnd:
		switch c {
		case '\r':
		case '\n':
			r.state, r.left, r.digits = chunkSize, 0, 0
		default:
			return errChunk
		}
	case trailerStart:
		switch c {
		case '\r':
		case '\n':
			r.state = bodyOver
		default:
			r.state = trailerLine
		}
	case trailerLine:
		if c == '\n' {
			r.state = trailerStart
		}
	}
	return nil
}

func (r *Body) sizeByte(c byte) error {
	var v byte
	switch {
	case c >= '0' && c <= '9':
		v = c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		v = c | 0x20 - 'a' + 10
	case r.digits > 0 && c == '\n':
		r.sizeDone()
		return nil
	case r.digits > 0 && (c == '\r' || c == ';' || c == ' ' || c == '\t'):
		r.state = chunkExtension
		return nil
	default:
		return errChunk
	}
	// 15 digits cannot overflow an int64.
	if r.digits++; r.digits > 15 {
		return errChunk
	}
	r.left = r.left<<4 | int64(v)
	return nil
}

func (r *Body) sizeDone() {
	r.state = chunkData
	if r.left == 0 {
		r.state = trailerStart
	}
}
