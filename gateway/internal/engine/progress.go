package engine

import (
	"math"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/conn"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// lookEvery is how often a stream that may be stuck is looked at, as a fraction of
// the write timeout: one that is stuck is cut at most that much late.
const lookEvery = 8

// schedule puts the stream into the timer wheel for whatever comes first. A parked
// stream whose client has taken everything is not looked at before something is written
// again: a million idle streams cost only their heartbeats. The caller holds loopMu.
func (sh *shard) schedule(s *Stream, now time.Time) {
	due := int64(math.MaxInt64)
	switch timeout := sh.env.cfg.WriteTimeout; {
	case !s.parked, s.pending != nil, s.progress.Waits():
		due = reactor.Nanos(now.Add(timeout / lookEvery))
	case s.unseen:
		due = reactor.Nanos(now.Add(timeout))
	}
	if s.parked {
		due = min(due, s.dueAt(now))
	}
	sh.reactor.Schedule(s.place, due)
}

// dueAt returns when a parked stream is to be served although nothing has come.
func (s *Stream) dueAt(now time.Time) int64 {
	if e := s.ending.Load(); e != nil {
		return e.at + int64(conn.CloseGrace)
	}
	due := int64(math.MaxInt64)
	if s.pending == nil {
		due = s.heartbeatAt
	}
	if end := s.life.Deadline(now); !end.IsZero() {
		// By a clock that may be set, so it is asked again from time to time.
		due = min(due, reactor.Nanos(end), reactor.Nanos(now.Add(s.shard.env.cfg.WriteTimeout)))
	}
	if at := s.reader.RetryAt(); !at.IsZero() {
		due = min(due, reactor.Nanos(at))
	}
	return due
}

// advance looks at the streams that are due. The caller holds loopMu.
func (sh *shard) advance(now time.Time) {
	sh.reactor.Advance(reactor.Nanos(now), func(s *Stream) {
		if s.parked {
			sh.lookAtParked(s, now)
		} else if w := s.writer.Load(); w != nil && s.progress.Stuck((*w).Peer(), reactor.Nanos(now), sh.env.cfg.WriteTimeout) {
			s.cut(*w)
		}
		if !s.gone {
			sh.schedule(s, now)
		}
	})
}

// lookAtParked ends a parked stream that must end, cuts one that is stuck, and
// writes a heartbeat if that is due.
func (sh *shard) lookAtParked(s *Stream, now time.Time) {
	if reason := s.life.Reason(now); reason != "" {
		s.mustEnd(reason, now)
	}
	if p := s.pending; p != nil {
		s.lasted(reactor.Nanos(now) - p.since)
	}
	stuck := s.unseen && s.progress.Stuck(conn.PeerOfFD(s.fd), reactor.Nanos(now), sh.env.cfg.WriteTimeout)
	s.unseen = s.progress.Waits()
	retryAt := s.reader.RetryAt()
	switch e := s.ending.Load(); {
	case e != nil && reactor.Nanos(now) >= e.at+int64(conn.CloseGrace):
		sh.endParked(s, e.reason)
	case stuck:
		sh.endParked(s, metrics.EndWriteTimeout)
	case e != nil, !retryAt.IsZero() && !now.Before(retryAt):
		sh.flush(s)
	case s.pending == nil && s.heartbeatAt <= reactor.Nanos(now):
		o, err := s.heartbeat((*nonblocking)(s))
		if o == more {
			o = upToDate
		}
		s.written(now)
		sh.settle(s, o, err)
	}
}

// cut ends a stream whose client takes nothing, without waiting for it. The owner
// is the stream's goroutine.
func (s *Stream) cut(w writer) {
	s.mustEnd(metrics.EndWriteTimeout, time.Now())
	w.Abort()
}
