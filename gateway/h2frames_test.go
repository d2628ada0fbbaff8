package gateway

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

// A client of HTTP/2 that may misbehave: it writes frames by hand (RFC 9113,
// section 4.1), which no library would.

const h2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Types of frames, and flags.
const (
	h2FrameHeaders  = 1
	h2FrameReset    = 3
	h2FrameSettings = 4
	h2FramePing     = 6
	h2FrameContinue = 9

	h2EndStream  = 1
	h2EndHeaders = 4
)

func h2Frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

func h2Settings() []byte { return h2Frame(h2FrameSettings, 0, 0, nil) }

func h2Reset(stream uint32) []byte {
	return h2Frame(h2FrameReset, 0, stream, []byte{0, 0, 0, 8}) // CANCEL
}

// h2Field encodes a header field without indexing and without Huffman coding
// (RFC 7541, section 6.2.2). Texts are shorter than 127 bytes.
func h2Field(name, value string) []byte {
	b := append([]byte{0, byte(len(name))}, name...)
	return append(append(b, byte(len(value))), value...)
}

// h2Get makes the frame of a GET request.
func h2Get(stream uint32, authority, path string) []byte {
	block := []byte{0x82, 0x86} // :method GET, :scheme http
	block = append(block, h2Field(":path", path)...)
	block = append(block, h2Field(":authority", authority)...)
	return h2Frame(h2FrameHeaders, h2EndStream|h2EndHeaders, stream, block)
}

// h2Attack opens a connection, writes frames until next returns nil or the
// server has had enough, and returns the connection. What the server sends is
// read and thrown away, or not read at all.
func (r *rig) h2Attack(t *testing.T, read bool, next func(i int) []byte) net.Conn {
	t.Helper()
	conn := r.send(h2Preface + string(h2Settings()))
	if read {
		go func() { _, _ = io.Copy(io.Discard, conn) }()
	}
	for i := 0; ; i++ {
		frame := next(i)
		if frame == nil {
			return conn
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := conn.Write(frame); err != nil {
			return conn // cut off, or not read any further
		}
	}
}
