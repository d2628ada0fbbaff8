// Package ssetest has a parser of event streams for tests. It shares nothing with
// the code that writes them.
package ssetest

import (
	"bytes"
	"strings"
)

// Event is an event as a browser would dispatch it.
type Event struct {
	Name, Data, ID string
}

// Parser reads an event stream as the specification tells a browser to:
// https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
//
// Fields that a browser ignores are kept too, so that a test can say that there
// is nothing else. The zero value is ready for use, by one goroutine at a time.
type Parser struct {
	Events   []Event
	Comments []string
	Retries  []string // of digits only
	Ignored  []string // lines that a browser would ignore
	LastID   string

	begun, skipLF    bool
	line             []byte
	data, name, idBf string
}

// Feed parses the next bytes of the stream, which may be cut anywhere.
func (p *Parser) Feed(b []byte) {
	for len(b) > 0 {
		if p.skipLF && b[0] == '\n' {
			b = b[1:]
		}
		p.skipLF = false
		rest, _, ended := bytes.Cut(b, []byte{'\n'})
		if before, _, ok := bytes.Cut(rest, []byte{'\r'}); ok {
			rest, ended, p.skipLF = before, true, true
		}
		p.line = append(p.line, rest...)
		if !ended {
			return
		}
		p.endLine()
		b = b[len(rest)+1:]
	}
}

// Complete reports whether the stream so far ends with a whole event or comment.
func (p *Parser) Complete() bool { return len(p.line) == 0 && p.data == "" && p.name == "" }

func (p *Parser) endLine() {
	line := p.line
	p.line = p.line[:0]
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
		p.Comments = append(p.Comments, value)
	default:
		p.field(field, strings.TrimPrefix(value, " "), s)
	}
}

func (p *Parser) field(name, value, line string) {
	switch {
	case name == "event":
		p.name = value
	case name == "data":
		p.data += value + "\n"
	case name == "id" && !strings.Contains(value, "\x00"):
		p.idBf = value
	case name == "retry" && value != "" && strings.Trim(value, "0123456789") == "":
		p.Retries = append(p.Retries, value)
	default:
		p.Ignored = append(p.Ignored, line)
	}
}

func (p *Parser) dispatch() {
	p.LastID = p.idBf
	data, name := p.data, p.name
	p.data, p.name = "", ""
	if data == "" {
		if name != "" {
			p.Ignored = append(p.Ignored, "event: "+name)
		}
		return
	}
	if name == "" {
		name = "message"
	}
	p.Events = append(p.Events, Event{name, strings.TrimSuffix(data, "\n"), p.LastID})
}

// Parse parses a whole stream, in pieces of at most the given size in bytes.
func Parse(stream []byte, piece int) *Parser {
	p := &Parser{}
	for len(stream) > 0 {
		n := min(max(piece, 1), len(stream))
		p.Feed(stream[:n])
		stream = stream[n:]
	}
	return p
}
