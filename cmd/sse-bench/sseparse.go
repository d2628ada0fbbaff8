package main

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

// eventKind tells the gateway's own events from all others.
type eventKind uint8

const (
	kindOther eventKind = iota
	kindReady
	kindGap
	kindEnd
)

// sseSink receives what an sseParser finds. data is only valid during the call
// and holds the first keepData bytes.
type sseSink interface {
	event(kind eventKind, data []byte)
	retry(ms int64)
}

// sseParser is an incremental parser of text/event-stream (WHATWG HTML 9.2.6).
// It keeps what load measurement needs, the id, the kind and the first bytes of
// the data, and allocates nothing per event once its buffers have grown.
type sseParser struct {
	line    []byte // the beginning of a line whose end has not arrived
	data    []byte // first bytes of the event's data
	idBuf   []byte // the "last event ID buffer" of the specification
	lastID  []byte // what a reconnect sends; changes only with a complete event
	kind    eventKind
	hasData bool
	idDirty bool
	skipLF  bool // the last line ended in CR; a LF right after belongs to it
	begun   bool // the first line, which may start with a byte order mark, is over
}

// reset prepares for a new stream of the same EventSource. What was incomplete
// is forgotten, the last event id stays.
func (p *sseParser) reset() {
	p.line, p.data = p.line[:0], p.data[:0]
	p.idBuf = append(p.idBuf[:0], p.lastID...)
	p.kind, p.hasData, p.idDirty, p.skipLF, p.begun = kindOther, false, false, false, false
}

// feed parses the next bytes of the stream, however they are cut.
func (p *sseParser) feed(b []byte, sink sseSink) {
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

func (p *sseParser) carry(b []byte) {
	if room := keepLine - len(p.line); len(b) > room {
		b = b[:room]
	}
	p.line = append(p.line, b...)
}

func (p *sseParser) takeLine(line []byte, sink sseSink) {
	if !p.begun {
		p.begun = true
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	if len(line) == 0 {
		p.dispatch(sink)
		return
	}
	switch line[0] {
	case 'd':
		if v, ok := fieldValue(line, "data"); ok {
			p.addData(v)
		}
	case 'i':
		if v, ok := fieldValue(line, "id"); ok && bytes.IndexByte(v, 0) < 0 {
			p.idBuf = append(p.idBuf[:0], v...)
			p.idDirty = true
		}
	case 'e':
		if v, ok := fieldValue(line, "event"); ok {
			p.kind = kindOf(v)
		}
	case 'r':
		if v, ok := fieldValue(line, "retry"); ok {
			if ms, ok := digits(v); ok {
				sink.retry(ms)
			}
		}
	}
}

func (p *sseParser) dispatch(sink sseSink) {
	if p.idDirty {
		p.lastID = append(p.lastID[:0], p.idBuf...)
		p.idDirty = false
	}
	if p.hasData {
		sink.event(p.kind, p.data)
	}
	p.data, p.hasData, p.kind = p.data[:0], false, kindOther
}

func (p *sseParser) addData(v []byte) {
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

func kindOf(name []byte) eventKind {
	switch string(name) {
	case "gateway.ready":
		return kindReady
	case "gateway.gap":
		return kindGap
	case "gateway.end":
		return kindEnd
	}
	return kindOther
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
