// Package head tells a plain request from any other by the bytes of its head, and parses
// it from memory.
package head

import (
	"bufio"
	"bytes"
	"net/http"
	"sync"
)

// Max is the longest plain head, in bytes.
const Max = 4 << 10

// Kind is what the bytes that a connection has sent are.
type Kind uint8

// The kinds of bytes.
const (
	Incomplete Kind = iota // the beginning of a plain head
	Plain                  // the whole head of a plain GET, and nothing else
	Other                  // anything else: net/http has to see it
)

var (
	plainStart = []byte("GET /")
	plainEnd   = []byte(" HTTP/1.1")
	headEnd    = []byte("\r\n\r\n")
)

// Classify tells what b is. A plain head is one about which net/http has nothing
// to say but what its parser says: a GET of HTTP/1.1 for a path, one host, lines
// of printable ASCII, no body, no upgrade, and no byte after it.
func Classify(b []byte) Kind {
	if k := min(len(b), len(plainStart)); len(b) > Max || !bytes.Equal(b[:k], plainStart[:k]) {
		return Other
	}
	end := bytes.Index(b, headEnd)
	for i, c := range b {
		switch {
		case c == '\n' && (i == 0 || b[i-1] != '\r'), // a line ends without a CR: the head may have ended
			c == '\r' && i+1 < len(b) && b[i+1] != '\n',
			c < ' ' && c != '\r' && c != '\n', c > '~':
			return Other
		}
	}
	switch {
	case end < 0 && len(b) >= Max:
		return Other
	case end < 0:
		return Incomplete
	case end+len(headEnd) < len(b) || !isPlain(b[:end+2]):
		return Other
	}
	return Plain
}

// isPlain looks at the lines of a head.
func isPlain(lines []byte) bool {
	hosts := 0
	for first := true; len(lines) > 0; first = false {
		var line []byte
		line, lines, _ = bytes.Cut(lines, headEnd[:2])
		if first {
			if !bytes.HasSuffix(line, plainEnd) {
				return false
			}
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || !isToken(name) {
			return false
		}
		switch string(bytes.ToLower(name)) {
		case "host":
			if hosts++; hosts > 1 || !isHost(bytes.TrimSpace(value)) {
				return false
			}
		case "content-length", "transfer-encoding", "trailer", "upgrade", "expect", "http2-settings":
			return false
		}
	}
	return hosts == 1
}

// isToken reports whether a name is of letters, digits, "-" and "_": a part of
// what RFC 9110 allows, and all that is in use.
func isToken(name []byte) bool {
	for _, c := range name {
		if !isAlnum(c) && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// isHost reports whether a host is of what names and addresses are made of.
func isHost(host []byte) bool {
	for _, c := range host {
		if !isAlnum(c) && c != '.' && c != '-' && c != ':' && c != '[' && c != ']' {
			return false
		}
	}
	return len(host) > 0
}

func isAlnum(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' }

// parsers are shared by all goroutines, because parsing takes a moment and what follows it
// may wait for Redis: a parser for each that waits was a quarter of what the gateway
// allocated while clients connected.
var parsers = sync.Pool{New: func() any { return &parser{} }}

// Parse returns the request of a plain head. It is as net/http's server makes it,
// without a context and without the client's address. The error is that of
// http.ReadRequest.
func Parse(head []byte) (*http.Request, error) {
	p := parsers.Get().(*parser)
	r, err := p.parse(head) // has no body, so it keeps nothing of p
	p.from.Reset(nil)
	parsers.Put(p)
	return r, err
}

// parser parses heads from memory. One goroutine uses it at a time.
type parser struct {
	from bytes.Reader
	in   *bufio.Reader
}

func (p *parser) parse(head []byte) (*http.Request, error) {
	p.from.Reset(head)
	if p.in == nil {
		p.in = bufio.NewReaderSize(&p.from, Max)
	} else {
		p.in.Reset(&p.from)
	}
	return http.ReadRequest(p.in)
}
