package engine

import (
	"os"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/conn"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// connection is a client's connection as the goroutine of its stream uses it. It is a
// conn.Hijacked or a conn.Response.
type connection interface {
	writer
	sink // Write blocks until the client has all of p
	// SetDeadline has writes from now on fail at a time; zero: never. It does not
	// put off what StartClosing and Abort have set.
	SetDeadline(t time.Time)
	// Wait returns when the connection was woken, when the time has come, or with
	// an error when the client has gone.
	Wait(until time.Time) error
	// Close closes the connection. If it is aborted, bytes that the client has not
	// taken are thrown away.
	Close()
}

// writeLoop writes the stream to its client until it ends, and returns why: a
// reason of metrics.Gateway.Disconnects.
func (s *Stream) writeLoop(c connection) (reason string) {
	if s.ending.Load() != nil {
		c.StartClosing() // end came before there was somebody to tell
	}
	for {
		s.bound(c, time.Now())
		o, err := s.step(c)
		if err != nil {
			return s.reasonOf(err)
		}
		until := reactor.Time(s.heartbeatAt)
		switch {
		case o == more, o == behind && s.fetch():
			continue
		case o == ended:
			return s.endReason(time.Now())
		case o == behind && s.reader.RetryAt().Before(until):
			until = s.reader.RetryAt()
		}
		if err := c.Wait(s.life.Before(until, time.Now())); err != nil {
			return s.reasonOf(err)
		}
		if now := time.Now(); s.heartbeatAt <= reactor.Nanos(now) && s.endReason(now) == "" {
			s.bound(c, now)
			if _, err := s.heartbeat(c); err != nil {
				return s.reasonOf(err)
			}
		}
	}
}

// bound sets when a write that begins now must be done because the stream must end.
// One that begins shortly before that has conn.CloseGrace, or a quick client would get
// neither its event nor a closing frame.
func (s *Stream) bound(c connection, now time.Time) {
	end := s.life.Deadline(now)
	if soonest := now.Add(conn.CloseGrace); !end.IsZero() && end.Before(soonest) {
		end = soonest
	}
	c.SetDeadline(end)
}

// fetch is Reader.Fetch, which blocks no longer than the stream may live.
func (s *Stream) fetch() bool {
	return s.reader.Fetch(s.shard.env.ctx, s.life.Deadline(time.Now()))
}

// reasonOf maps the error of a connection to the reason of the stream's end.
func (s *Stream) reasonOf(err error) string {
	due := s.endReason(time.Now())
	switch {
	case due == metrics.EndWriteTimeout:
		return due
	case conn.IsGone(err):
		return metrics.EndClient
	case due != "":
		return due // it had to end, and the client did not take the last bytes
	case os.IsTimeout(err):
		return metrics.EndWriteTimeout
	}
	return metrics.EndWriteError
}
