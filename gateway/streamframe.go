package gateway

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// heartbeat is the comment that keeps an idle connection open. The empty line
// lets a reader that works by the event see it at once.
const heartbeat = ":\n\n"

// appendRetry appends a retry field, randomised within [d, 2d).
func appendRetry(b []byte, d time.Duration) []byte {
	b = append(b, "retry: "...)
	b = strconv.AppendInt(b, (d + rand.N(max(d, 1))).Milliseconds(), 10)
	return append(b, '\n')
}

// appendIDLine appends the id line of an event of the i-th channel: the
// position of the client once it has the event.
func (s *stream) appendIDLine(b []byte, i int, id store.ID) []byte {
	if s.names == "" {
		return appendID(b, id)
	}
	b = append(b, "id: "...)
	for j := range s.channels {
		if j == i {
			b = id.AppendTo(b)
		} else {
			b = s.delivered(j).AppendTo(b)
		}
		b = append(b, '~')
	}
	return append(append(b, s.names...), '\n')
}

// appendReady appends the first frame. It has data because browsers drop an id
// without data, and a client that loses the connection before the first event
// resumes from this one.
func (s *stream) appendReady(b []byte) []byte {
	b = appendRetry(b, s.g.cfg.Retry)
	b = s.appendIDLine(b, 0, s.delivered(0))
	b = append(b, "event: gateway.ready\ndata: {\"channels\":{"...)
	for i := range s.channels {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, s.channels[i].cursor.Sub().Channel())
		b = append(b, `:"`...)
		b = append(s.delivered(i).AppendTo(b), '"')
	}
	return append(b, "}}\n\n"...)
}

// appendUnknown appends a gap for every channel of a client whose position
// could not be understood.
func (s *stream) appendUnknown(b []byte) []byte {
	for i := range s.channels {
		at := s.delivered(i)
		b = s.appendIDLine(b, i, at)
		b = append(appendGapData(b, s.channels[i].cursor.Sub().Channel(), "", at, metrics.GapUnknownID), '\n')
		s.out.gap(metrics.GapUnknownID)
	}
	return b
}

func (s *stream) appendGap(b []byte, i int, gap store.Gap) []byte {
	s.out.gap(gap.Reason)
	b = s.appendIDLine(b, i, gap.Resumed)
	return append(appendGapRest(b, gap), '\n')
}

// appendEntry appends an entry of the i-th channel. A large frame, and what of
// an envelope is beyond the limit, it leaves in s.large, and nothing may be
// appended after that.
func (s *stream) appendEntry(b []byte, i int, e *store.Entry, limit int) []byte {
	if e.Kind != store.KindEvent {
		s.out.gap(e.Kind.GapReason())
	} else {
		s.out.event(e.ID, s.channels[i].live)
	}
	frame := e.Frame
	if s.names != "" || s.envelope {
		b, frame = s.appendIDLine(b, i, e.ID), rest(frame)
	}
	switch {
	case s.envelope && e.Kind == store.KindEvent:
		b, s.large, s.wrapping = appendEnvelopeHead(b, s.channels[i].cursor.Sub().Channel(), e.ID, frame)
		return s.appendWrapped(b, limit)
	case len(frame) >= largeFrame:
		s.large = frame
		return b
	}
	return append(b, frame...)
}

// appendStalled tells the client when Redis went away or came back, for any of
// its channels. The event has no id: it is not a position.
func (s *stream) appendStalled(b []byte) []byte {
	var since time.Time
	stalled := false
	for i := range s.channels {
		if at, is := s.channels[i].cursor.Sub().Stalled(); is {
			since, stalled = at, true
			break
		}
	}
	if stalled == s.stalled {
		return b
	}
	s.stalled = stalled
	name := "gateway.stalled"
	if !stalled {
		name, since = "gateway.live", time.Now()
	}
	b = append(append(append(b, "event: "...), name...), "\ndata: {\"since\":\""...)
	b = since.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
	return append(b, "\"}\n\n"...)
}
