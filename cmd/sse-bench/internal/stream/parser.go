package stream

import "bytes"

const (
	// keepData is how much of an event's data is looked at: our payload, or a
	// whole gateway.gap with the longest channel name.
	keepData = 512
	// keepLine is how much of a line is kept when it arrives in pieces.
	keepLine = keepData + 128
	// maxRetry bounds the digits of retry: that are read (milliseconds).
	maxRetry = 9
)

// Kind tells the gateway's own events from all others.
type Kind uint8

// The kinds of events.
const (
	KindOther Kind = iota
	KindReady
	KindGap
	KindEnd
)

// Sink receives what a Parser finds. data is only valid during the call and holds
// the first 512 bytes.
type Sink interface {
	Event(kind Kind, data []byte)
	Retry(ms int64)
	Comment() // a line that begins with a colon, such as a heartbeat
}

// Parser is an incremental parser of text/event-stream (WHATWG HTML 9.2.6). It
// keeps what load measurement needs: the id, the kind and the first bytes of the
// data. The zero value is ready.
type Parser struct {
	line    []byte // the beginning of a line whose end has not arrived
	data    []byte // first bytes of the event's data
	id      []byte // of the event, if hasID
	lastID  []byte
	kind    Kind
	hasData bool
	hasID   bool
	skipLF  bool // the last line ended in CR; a LF right after belongs to it
	begun   bool // the first line, which may start with a byte order mark, is over
}

// Buffers is memory that the parsers of one goroutine share. A parser has its own
// only while it is in the middle of an event.
type Buffers struct{ line, data, id []byte }

// LastID returns what a reconnect sends. It changes only with a complete event.
func (p *Parser) LastID() []byte { return p.lastID }

// Reset prepares for a new stream of the same EventSource. What was incomplete is
// forgotten, the last event id stays.
func (p *Parser) Reset() { *p = Parser{lastID: p.lastID} }

// Feed parses the next bytes of the stream, however they are cut.
func (p *Parser) Feed(b []byte, sink Sink, shared *Buffers) {
	borrow(&p.line, shared.line)
	borrow(&p.data, shared.data)
	borrow(&p.id, shared.id)
	p.parse(b, sink)
	giveBack(&p.line, &shared.line)
	giveBack(&p.data, &shared.data)
	giveBack(&p.id, &shared.id)
}

func borrow(own *[]byte, shared []byte) {
	if *own == nil {
		*own = shared[:0]
	}
}

// giveBack leaves the parser with a copy of what it still needs.
func giveBack(own, shared *[]byte) {
	*shared = (*own)[:0]
	if len(*own) > 0 {
		*own = bytes.Clone(*own)
		return
	}
	*own = nil
}

func (p *Parser) parse(b []byte, sink Sink) {
	for len(b) > 0 {
		if p.skipLF {
			p.skipLF = false
			if b[0] == '\n' {
				b = b[1:]
				continue
			}
		}
		end := lineEnd(b)
		if end < 0 {
			p.carry(b)
			return
		}
		line := b[:end]
		if len(p.line) > 0 {
			p.carry(line)
			line = p.line
		}
		p.skipLF = b[end] == '\r'
		b = b[end+1:]
		p.takeLine(line, sink)
		p.line = p.line[:0]
	}
}

// lineEnd returns the index of the first CR or LF, or -1.
func lineEnd(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	head := b
	if lf >= 0 {
		head = b[:lf]
	}
	if cr := bytes.IndexByte(head, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

func (p *Parser) carry(b []byte) {
	if room := keepLine - len(p.line); len(b) > room {
		b = b[:room]
	}
	p.line = append(p.line, b...)
}

func (p *Parser) takeLine(line []byte, sink Sink) {
	if !p.begun {
		p.begun = true
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	if len(line) == 0 {
		p.dispatch(sink)
		return
	}
	switch line[0] {
	case ':':
		sink.Comment()
	case 'd':
		if v, ok := fieldValue(line, "data"); ok {
			p.addData(v)
		}
	case 'i':
		if v, ok := fieldValue(line, "id"); ok && bytes.IndexByte(v, 0) < 0 {
			p.id = append(p.id[:0], v...)
			p.hasID = true
		}
	case 'e':
		if v, ok := fieldValue(line, "event"); ok {
			p.kind = kindOf(v)
		}
	case 'r':
		if v, ok := fieldValue(line, "retry"); ok {
			if ms, ok := digits(v); ok {
				sink.Retry(ms)
			}
		}
	}
}

func (p *Parser) dispatch(sink Sink) {
	if p.hasID {
		p.lastID = append(p.lastID[:0], p.id...)
		p.id, p.hasID = p.id[:0], false
	}
	if p.hasData {
		sink.Event(p.kind, p.data)
	}
	p.data, p.hasData, p.kind = p.data[:0], false, KindOther
}

func (p *Parser) addData(v []byte) {
	if p.hasData && len(p.data) < keepData {
		p.data = append(p.data, '\n')
	}
	p.hasData = true
	if room := keepData - len(p.data); len(v) > room {
		v = v[:room]
	}
	p.data = append(p.data, v...)
}

// fieldValue returns the value of line if its field is name. One space after
// the colon is not part of it.
func fieldValue(line []byte, name string) ([]byte, bool) {
	if len(line) < len(name) || string(line[:len(name)]) != name {
		return nil, false
	}
	v := line[len(name):]
	if len(v) == 0 {
		return v, true
	}
	if v[0] != ':' {
		return nil, false
	}
	v = v[1:]
	if len(v) > 0 && v[0] == ' ' {
		v = v[1:]
	}
	return v, true
}

func kindOf(name []byte) Kind {
	switch string(name) {
	case "gateway.ready":
		return KindReady
	case "gateway.gap":
		return KindGap
	case "gateway.end":
		return KindEnd
	}
	return KindOther
}

func digits(v []byte) (n int64, ok bool) {
	if len(v) == 0 || len(v) > maxRetry {
		return 0, false
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
