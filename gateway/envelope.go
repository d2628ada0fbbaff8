package gateway

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/sse-gateway/sse-gateway/store"
)

// An envelope may have six times the bytes of its event, and a client that does
// not read would hold them. So it is never made as a whole: it is made of the
// frame that all streams share, in parts, as the client takes them.

// wrapping tells where in its envelope a frame goes on.
type wrapping uint8

const (
	unwrapped    wrapping = iota // there is no envelope: the bytes are sent as they are
	wrappingName                 // within the event's name
	wrappingData                 // within its data
)

// envelopeStep is how much of a frame is wrapped before the size of the part is
// looked at, in bytes: six times as much, and the part still fits into the
// buffer of a batch.
const envelopeStep = 512

// appendEnvelopeHead appends the beginning of an envelope, and returns what is
// to be wrapped of the rest of a frame, as rest returns it.
func appendEnvelopeHead(b []byte, channel string, id store.ID, rest []byte) (_, left []byte, in wrapping) {
	b = append(b, `data: {"channel":`...)
	b = appendJSON(b, channel)
	b = append(b, `,"id":"`...)
	b = id.AppendTo(b)
	b = append(b, `","event":"`...)
	if left, named := bytes.CutPrefix(rest, []byte("event: ")); named {
		return b, left, wrappingName
	}
	b = append(b, `message","data":"`...) // a browser calls an unnamed event so, too
	return b, bytes.TrimPrefix(rest, []byte("data: ")), wrappingData
}

// appendEnvelopePart appends what follows, until the frame is done or b has
// about limit bytes, and returns what is left then.
func appendEnvelopePart(b []byte, limit int, left []byte, in wrapping) (_, _ []byte, _ wrapping) {
	for len(left) > 0 && len(b) < limit {
		text := wholeRunes(left, envelopeStep)
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			text = text[:i]
		}
		b = appendEscaped(b, text)
		if left = left[len(text):]; len(left) == 0 || left[0] != '\n' {
			continue
		}
		if left = left[1:]; len(left) <= 1 { // the empty line that ends the frame
			return append(b, "\"}\n\n"...), nil, unwrapped
		}
		left = bytes.TrimPrefix(left, []byte("data: "))
		if in == wrappingName {
			b, in = append(b, `","data":"`...), wrappingData
		} else {
			b = append(b, '\\', 'n')
		}
	}
	return b, left, in
}

// wholeRunes returns at most n bytes of s, and no part of a character: it would
// not be readable.
func wholeRunes(s []byte, n int) []byte {
	if len(s) <= n {
		return s
	}
	for i := n; i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i]
		}
	}
	return s[:n]
}

// appendWrapped appends what comes next of the envelope in s.large.
func (s *stream) appendWrapped(b []byte, limit int) []byte {
	b, s.large, s.wrapping = appendEnvelopePart(b, limit, s.large, s.wrapping)
	return b
}

// nextPart returns what is to be written next of s.large: all of it, unless it
// is an envelope. The parts of that are made in b, and counted one by one.
func (s *stream) nextPart(b []byte) []byte {
	if s.wrapping == unwrapped {
		b, s.large = s.large, nil
		return b
	}
	limit := s.limit()
	b = s.appendWrapped(slices.Grow(b[:0], min(limit, len(s.large))), limit)
	s.g.countWrite(len(b))
	return b
}

// size returns how many bytes are to be counted with b: those of the parts of
// an envelope are when they are made.
func (s *stream) size(b []byte) int {
	if s.wrapping != unwrapped {
		return len(b)
	}
	return len(b) + len(s.large)
}
