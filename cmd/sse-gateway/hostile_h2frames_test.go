package main

import (
	"encoding/binary"
	"io"
	"strings"
)

// Frames of HTTP/2 (RFC 9113), written by hand because no proper client sends
// them as hostile ones do.

const (
	h2Data         = 0x0
	h2Headers      = 0x1
	h2Reset        = 0x3
	h2Settings     = 0x4
	h2Ping         = 0x6
	h2GoAway       = 0x7
	h2WindowUpdate = 0x8
	h2Continuation = 0x9

	h2EndStream  = 0x1
	h2EndHeaders = 0x4
)

// h2Preface begins a connection: the magic and empty SETTINGS.
var h2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2Frame(h2Settings, 0, 0, "")

// h2Unlimited allows the server to send a gigabyte, on a stream and on all of
// them.
var h2Unlimited = h2Frame(h2Settings, 0, 0, "\x00\x04\x40\x00\x00\x00") + h2Frame(h2WindowUpdate, 0, 0, "\x40\x00\x00\x00")

// h2Frame returns one frame.
func h2Frame(kind, flags byte, stream uint32, payload string) string {
	head := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return string(binary.BigEndian.AppendUint32(head, stream)) + payload
}

// hpack encodes a header, without compression and without a table (RFC 7541,
// 6.2.2).
func hpack(name, value string) string { return "\x00" + hpackString(name) + hpackString(value) }

func hpackString(s string) string {
	if len(s) < 127 {
		return string([]byte{byte(len(s))}) + s
	}
	b := []byte{127} // and the rest in groups of seven bits
	n := len(s) - 127
	for ; n >= 128; n >>= 7 {
		b = append(b, byte(n&127|128))
	}
	return string(append(b, byte(n))) + s
}

// h2Request is the header block of a request for an event stream; headers are
// names and values.
func h2Request(query string, headers ...string) string {
	var b strings.Builder
	for _, h := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "gateway"}, {":path", "/events?" + query}, {"accept", "text/event-stream"}} {
		b.WriteString(hpack(h[0], h[1]))
	}
	for i := 0; i < len(headers); i += 2 {
		b.WriteString(hpack(headers[i], headers[i+1]))
	}
	return b.String()
}

// h2Body is what the DATA frames of a connection hold, whatever their stream.
type h2Body struct {
	io.Reader
	left int // of the frame
}

func newH2Body(r io.Reader) io.Reader { return &h2Body{Reader: r} }

func (b *h2Body) Read(p []byte) (int, error) {
	for b.left == 0 {
		head := make([]byte, 9)
		if _, err := io.ReadFull(b.Reader, head); err != nil {
			return 0, err
		}
		size := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
		if head[3] == h2Data {
			b.left = size
		} else if _, err := io.CopyN(io.Discard, b.Reader, int64(size)); err != nil {
			return 0, err
		}
	}
	n, err := b.Reader.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
