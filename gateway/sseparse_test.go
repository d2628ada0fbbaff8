package gateway

import (
	"bytes"
	"strings"
)

// sseEvent is an event as a browser would dispatch it.
type sseEvent struct {
	name, data, id string
}

// sseParser reads an event stream as the specification tells a browser to, and
// shares nothing with the code that writes one:
// https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
//
// What a browser ignores is kept too, so that a test can say that there is
// nothing else. The input may come in pieces of any size.
type sseParser struct {
	events   []sseEvent
	comments []string
	retries  []string // of digits only
	ignored  []string // lines that a browser would ignore
	lastID   string

	begun, skipLF    bool
	line             []byte
	data, name, idBf string
}

func (p *sseParser) feed(b []byte) {
	for _, c := range b {
		switch {
		case c == '\n' && p.skipLF:
			p.skipLF = false
		case c == '\n' || c == '\r':
			p.skipLF = c == '\r'
			p.endLine()
		default:
			p.skipLF = false
			p.line = append(p.line, c)
		}
	}
}

func (p *sseParser) endLine() {
	line := p.line
	p.line = nil
	if !p.begun { // one leading byte order mark is not part of the stream
		p.begun = true
		line = bytes.TrimPrefix(line, []byte("\uFEFF"))
	}
	s := string(line)
	field, value, colon := strings.Cut(s, ":")
	switch {
	case s == "":
		p.dispatch()
	case field == "" && colon:
		p.comments = append(p.comments, value)
	default:
		p.field(field, strings.TrimPrefix(value, " "), s)
	}
}

func (p *sseParser) field(name, value, line string) {
	switch {
	case name == "event":
		p.name = value
	case name == "data":
		p.data += value + "\n"
	case name == "id" && !strings.Contains(value, "\x00"):
		p.idBf = value
	case name == "retry" && value != "" && strings.Trim(value, "0123456789") == "":
		p.retries = append(p.retries, value)
	default:
		p.ignored = append(p.ignored, line)
	}
}

func (p *sseParser) dispatch() {
	p.lastID = p.idBf
	data, name := p.data, p.name
	p.data, p.name = "", ""
	if data == "" {
		if name != "" {
			p.ignored = append(p.ignored, "event: "+name)
		}
		return
	}
	if name == "" {
		name = "message"
	}
	p.events = append(p.events, sseEvent{name, strings.TrimSuffix(data, "\n"), p.lastID})
}

// parseSSE parses a whole stream, in pieces of the given size.
func parseSSE(stream []byte, piece int) *sseParser {
	p := &sseParser{}
	for len(stream) > 0 {
		n := min(max(piece, 1), len(stream))
		p.feed(stream[:n])
		stream = stream[n:]
	}
	return p
}
