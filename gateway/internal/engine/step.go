package engine

import (
	"math/rand/v2"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/batch"
	"github.com/sse-gateway/sse-gateway/gateway/internal/conn"
	"github.com/sse-gateway/sse-gateway/gateway/internal/content"
	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
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
	ended                     // its connection to be closed
)

// sink is the way to the client. Write writes p as far as it can without blocking,
// or, if it may block, all of it. An error ends the stream.
type sink interface {
	Write(p []byte) (n int, err error)
}

// step writes what is pending, or else the next batch, or the end. It is the one place
// that decides what a client is sent.
func (s *Stream) step(w sink) (outcome, error) {
	if p := s.pending; p != nil {
		s.pending = nil
		return s.write(w, &p.Output, p.since, more)
	}
	now := time.Now()
	if s.reader.Finished {
		s.mustEnd(metrics.EndOfChannels, now)
	}
	if s.closed || s.endReason(now) != "" {
		return s.close(w, now)
	}
	if s.reader.Idle() {
		return upToDate, nil
	}
	buf := s.beginBatch()
	defer buf.Put()
	limit := batch.Max
	if s.slow {
		limit = batch.Slow
	}
	next := [...]outcome{content.Idle: upToDate, content.More: more, content.Behind: behind}[s.reader.Fill(buf, limit)]
	if s.reader.Finished {
		next = more // to end, once this is written
	}
	// Checked again, because an event that was published after the end of a grant
	// must not be sent.
	if now = time.Now(); s.endReason(now) != "" {
		return s.close(w, now)
	}
	return s.writeBatch(w, buf, now, next)
}

// writeBatch writes what is in a buffer, if there is anything, as write does.
func (s *Stream) writeBatch(w sink, buf *batch.Buffer, now time.Time, next outcome) (outcome, error) {
	out := buf.Output(s.chunked)
	size := out.Size()
	if size == 0 {
		return next, nil
	}
	s.sum = buf.Sum()
	next, err := s.write(w, &out, reactor.Nanos(now), next)
	if err == nil {
		buf.Count(s.shard.env.cfg.Metrics, size, 1, now)
	}
	return next, err
}

// close writes the last bytes of a stream that must end.
func (s *Stream) close(w sink, now time.Time) (outcome, error) {
	if s.closed {
		return ended, nil
	}
	s.closed = true
	reason := s.endReason(now)
	s.mustEnd(reason, now)
	out := s.lastOutput(reason)
	return s.write(w, &out, reactor.Nanos(now), ended)
}

// lastOutput returns the last bytes of a stream: when to reconnect, each client at
// another time, and the end of the body.
func (s *Stream) lastOutput(reason string) batch.Output {
	var retry []byte
	switch reason {
	case metrics.EndClient, metrics.EndWriteTimeout: // nobody is there to read it
		return batch.Output{}
	case metrics.EndShutdown: // there may be no other replica to reconnect to
	case metrics.EndOfChannels: // there is nothing to reconnect for
	default:
		retry = appendRetry(nil, s.shard.env.cfg.Retry)
	}
	var coded *deflate.Sum
	if s.reader.Gzip {
		coded = &s.sum
	}
	return batch.End(retry, s.chunked, coded)
}

// appendRetry appends a retry field, spread over [d, 2d), so that clients do not
// reconnect in step.
func appendRetry(b []byte, d time.Duration) []byte {
	return sse.AppendRetry(b, d+rand.N(max(d, 1)))
}

// write writes out, of which the first byte was written, or is, at a time in
// reactor.Nanos. It returns next, or wouldBlock if something is left, which is then
// pending. A client that is slow to take it gets smaller batches from then on, until it
// is quick again, and no page of history is kept for it.
func (s *Stream) write(w sink, out *batch.Output, since int64, next outcome) (outcome, error) {
	for p := out.Next(); len(p) > 0; p = out.Next() {
		n, err := w.Write(p)
		if err != nil {
			s.closed = true
			return 0, err
		}
		if out.Wrote(n); n < len(p) {
			s.pending, next = &unsent{out.Keep(), since}, wouldBlock
			break
		}
	}
	now := time.Now()
	s.written(now)
	s.lasted(reactor.Nanos(now) - since)
	return next, nil
}

// lasted notes for how long a write has lasted.
func (s *Stream) lasted(ns int64) {
	if s.slow = ns > int64(conn.SlowWrite); s.slow {
		s.reader.DiscardPage()
	}
}

// heartbeat writes a heartbeat, to a stream with nothing pending.
func (s *Stream) heartbeat(w sink) (outcome, error) {
	buf, now := s.beginBatch(), time.Now()
	defer buf.Put()
	if s.ping {
		buf.B = sse.AppendPing(buf.B, now)
	} else {
		buf.B = append(buf.B, sse.Heartbeat...)
	}
	return s.writeBatch(w, buf, now, more)
}

// beginBatch returns an empty buffer for what the client is written next.
func (s *Stream) beginBatch() *batch.Buffer {
	buf := batch.Get()
	if s.reader.Gzip {
		buf.BeginGzip(s.sum)
	}
	return buf
}
