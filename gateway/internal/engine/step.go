package engine

import (
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// outcome is what a stream needs next.
type outcome uint8

const (
	more       outcome = iota // call step again
	upToDate                  // nothing, until it is woken
	behind                    // a page of history
	wouldBlock                // a socket that takes more; the rest is in Stream.pending
	mustEnd                   // to end: see Stream.endReason
)

// sink is the way to the client. Write writes p as far as it can without blocking,
// or, if it may block, all of it. An error ends the stream.
type sink interface {
	write(p []byte) (n int, err error)
}

// step writes what is pending, or else the next batch. It is the one place that
// decides what a client is sent, and when no more.
func (s *Stream) step(w sink) (outcome, error) {
	if s.pending != nil {
		out := *s.pending
		s.pending = nil
		return s.write(w, &out, more)
	}
	now := time.Now()
	if s.finished {
		end := metrics.EndOfChannels
		s.ending.CompareAndSwap(nil, &end)
	}
	if s.endReason(now) != "" {
		return mustEnd, nil
	}
	if s.idle() {
		return upToDate, nil
	}
	s.beginBatch()
	defer s.endBatch()
	var state fillState
	s.buf.b, state = s.fill(s.buf.b)
	// Checked again, because an event that was published after the end of a grant
	// must not be sent.
	if now = time.Now(); s.endReason(now) != "" {
		return mustEnd, nil
	}
	next := [...]outcome{fillIdle: upToDate, fillMore: more, fillBehind: behind}[state]
	if s.finished {
		next = more // to end, once this is written
	}
	out := s.buf.output(s.chunked)
	size := out.size()
	if size == 0 {
		return next, nil
	}
	s.sum = s.buf.sum
	next, err := s.write(w, &out, next)
	if err == nil {
		s.buf.count(s.shard.env.cfg.Metrics, size, 1, now)
	}
	return next, err
}

// write writes out. It returns next, or wouldBlock if something is left, which is
// then pending.
func (s *Stream) write(w sink, out *output, next outcome) (outcome, error) {
	for out.size() > 0 {
		p := out.own
		if len(p) == 0 {
			p = out.large
		}
		if len(p) == 0 {
			p = []byte(out.end)
		}
		n, err := w.write(p)
		if err != nil {
			return 0, err
		}
		switch {
		case len(out.own) > 0:
			out.own = out.own[n:]
		case len(out.large) > 0:
			out.large = out.large[n:]
		default:
			out.end = out.end[n:]
		}
		if n < len(p) {
			s.pending, next = out.kept(), wouldBlock
			break
		}
	}
	s.written(time.Now())
	return next, nil
}

// heartbeat writes a heartbeat, to a stream with nothing pending.
func (s *Stream) heartbeat(w sink) (outcome, error) {
	s.beginBatch()
	defer s.endBatch()
	if s.ping {
		s.buf.b = sse.AppendPing(s.buf.b, time.Now())
	} else {
		s.buf.b = append(s.buf.b, sse.Heartbeat...)
	}
	out := s.buf.output(s.chunked)
	s.sum = s.buf.sum
	s.buf.count(s.shard.env.cfg.Metrics, out.size(), 1, time.Time{})
	return s.write(w, &out, more)
}

// beginBatch gives the stream an empty buffer, until endBatch.
func (s *Stream) beginBatch() {
	if s.buf = getBuffer(); s.gzip {
		s.buf.beginGzip(s.sum)
	}
}

func (s *Stream) endBatch() {
	putBuffer(s.buf)
	s.buf = nil
}
