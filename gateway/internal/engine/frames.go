package engine

import (
	"math/rand/v2"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// appendRetry appends a retry field, spread over [d, 2d), so that clients do not
// reconnect in step.
func appendRetry(b []byte, d time.Duration) []byte {
	return sse.AppendRetry(b, d+rand.N(max(d, 1)))
}

// appendIDLine appends the id line of an event of the i-th channel: the
// position of the client once it has the event.
func (s *Stream) appendIDLine(b []byte, i int, id store.ID) []byte {
	if s.signature == "" {
		return sse.AppendID(b, id)
	}
	return sse.AppendPosition(b, len(s.channels), func(j int) store.ID {
		if j == i {
			return id
		}
		return s.deliveredID(j)
	}, s.signature)
}

// appendReady appends the frame that tells where the stream starts.
func (s *Stream) appendReady(b []byte) []byte {
	b = s.appendIDLine(b, 0, s.deliveredID(0))
	return sse.AppendReady(b, len(s.channels), func(i int) (string, store.ID) {
		return s.channels[i].cursor.Sub().Channel(), s.deliveredID(i)
	})
}

// appendUnknown appends a gap for every channel of a client whose position
// could not be understood. It comes before the ready frame, and only the last one
// has an id: a client that loses the connection in between must not keep the new
// position without having heard of every gap.
func (s *Stream) appendUnknown(b []byte) []byte {
	last := len(s.channels) - 1
	for i := range s.channels {
		at := s.deliveredID(i)
		if i == last {
			b = s.appendIDLine(b, i, at)
		}
		b = sse.AppendGap(b, s.channels[i].cursor.Sub().Channel(), "", at, metrics.GapUnknownID)
		s.tally(i).gap(metrics.GapUnknownID)
	}
	return b
}

// tally returns what is counted of the i-th channel in the batch that is being made.
func (s *Stream) tally(i int) *tally { return s.buf.tally(s.channels[i].topic.namespace) }

func (s *Stream) appendGap(b []byte, i int, gap store.Gap) []byte {
	s.tally(i).gap(gap.Reason)
	b = s.appendIDLine(b, i, gap.Resumed)
	return sse.AppendGap(b, gap.Channel, gap.After.String(), gap.Resumed, gap.Reason)
}

// appendEntry appends an entry of the i-th channel. The body of a large frame is
// left in s.buf.large. Nothing may be appended after that until it is written.
func (s *Stream) appendEntry(b []byte, i int, e *store.Entry) []byte {
	s.channels[i].ended = false
	if len(e.Frame) == 0 {
		return b
	}
	if e.Kind != store.KindEvent {
		s.tally(i).gap(e.Kind.GapReason())
	} else {
		s.tally(i).event(e.ID, s.channels[i].live)
	}
	body := e.Frame
	switch {
	case s.envelope && e.Kind == store.KindEvent:
		t := s.channels[i].topic
		b, body = s.appendIDLine(b, i, e.ID), t.envelopes.of(t.sub.Channel(), e)
	case s.signature != "" || s.gzip:
		b, body = s.appendIDLine(b, i, e.ID), sse.WithoutID(e.Frame)
	}
	if s.gzip {
		if block := s.shard.env.blocks.Block(body); len(block.Data) > 0 {
			s.buf.b = b
			s.buf.appendBlock(block, true)
			return s.buf.b
		}
		return append(b, body...)
	}
	if len(body) >= largeFrame {
		s.buf.large = body
		return b
	}
	return append(b, body...)
}

// appendEnd tells the client that the i-th channel has ended, if it has and the
// client has all of it. If that is so of all channels, the stream is finished.
func (s *Stream) appendEnd(b []byte, i int) []byte {
	c := &s.channels[i]
	if c.ended || !c.cursor.Ended() {
		return b
	}
	c.ended = true
	b = s.appendIDLine(b, i, c.cursor.Pos())
	b = sse.AppendEnd(b, c.cursor.Sub().Channel())
	s.finished = true
	for j := range s.channels {
		s.finished = s.finished && s.channels[j].ended
	}
	return b
}

// appendStalled tells the client when Redis went away or came back, for any of
// its channels.
func (s *Stream) appendStalled(b []byte) []byte {
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
	if stalled {
		return sse.AppendStalled(b, since)
	}
	return sse.AppendLive(b, time.Now())
}
