package integrity

import (
	"bytes"
	"strconv"
)

// PayloadMark starts every event that the tool publishes. It has no character
// that JSON escapes, so that it is found again inside another server's envelope.
const PayloadMark = "sse-bench:"

// MinSize leaves room for the mark, the run and the longest numbers.
const MinSize = 64

// Payload is what an event of ours says about itself.
type Payload struct {
	Channel int   // index of the channel
	Seq     int64 // 1, 2, 3 … per channel
	Due     int64 // unix nanoseconds at which the event was to be sent
}

// AppendPayload writes "sse-bench:<run>:<channel>:<seq>:<due>:" padded to size.
func AppendPayload(b []byte, run string, p Payload, size int) []byte {
	start := len(b)
	b = append(b, PayloadMark...)
	b = append(b, run...)
	b = append(b, ':')
	b = strconv.AppendInt(b, int64(p.Channel), 10)
	b = append(b, ':')
	b = strconv.AppendInt(b, p.Seq, 10)
	b = append(b, ':')
	b = strconv.AppendInt(b, p.Due, 10)
	b = append(b, ':')
	for len(b)-start < size {
		b = append(b, 'x')
	}
	return b
}

// ParsePayload reads the payload of this run out of the first bytes of an
// event's data; ok is false for anybody else's event.
func ParsePayload(data []byte, run string) (p Payload, ok bool) {
	at := 0
	if !bytes.HasPrefix(data, []byte(PayloadMark)) {
		if at = bytes.Index(data, []byte(PayloadMark)); at < 0 {
			return p, false
		}
	}
	rest := data[at+len(PayloadMark):]
	if len(rest) <= len(run) || string(rest[:len(run)]) != run || rest[len(run)] != ':' {
		return p, false
	}
	rest = rest[len(run)+1:]
	var channel int64
	for _, field := range [...]*int64{&channel, &p.Seq, &p.Due} {
		if rest, ok = takeNumber(rest, field); !ok {
			return p, false
		}
	}
	p.Channel = int(channel)
	return p, p.Seq > 0
}

// takeNumber reads at most 19 decimal digits up to a colon. A unix time in
// nanoseconds has 19 and fits an int64 until the year 2262.
func takeNumber(b []byte, v *int64) (rest []byte, ok bool) {
	*v = 0
	for i, c := range b {
		if c == ':' && i > 0 {
			return b[i+1:], true
		}
		if c < '0' || c > '9' || i > 18 {
			return nil, false
		}
		*v = *v*10 + int64(c-'0')
	}
	return nil, false
}
