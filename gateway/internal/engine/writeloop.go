package engine

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/conn"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
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

const (
	// fetchTimeout bounds how long a stream waits for history before it looks
	// after its other channels and its heartbeat. The read itself goes on, and
	// whoever asks again soon gets its page.
	fetchTimeout = time.Second
	// fetchRetry is about how long a stream waits after history failed, and
	// staleRetry how long at first if what there was is older than the window.
	fetchRetry = 500 * time.Millisecond
	staleRetry = 10 * time.Millisecond
)

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
		case o == behind:
			until = earlier(until, s.history.until)
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

// backoff is when history that could not be read is read again.
type backoff struct {
	pause time.Duration // 0: it was read
	until time.Time
}

// isOver reports whether history may be read; nil is none.
func (b *backoff) isOver(now time.Time) bool { return b == nil || !now.Before(b.until) }

// fetch reads a page of history for the channel that step found behind, unless that
// failed a moment ago. It reports whether the page was read.
func (s *Stream) fetch() bool {
	now := time.Now()
	if !s.history.isOver(now) { // not with every event of another channel, either
		return false
	}
	// The next page is of a channel that did not fail a moment ago.
	b := s.history
	calm := b == nil || now.Sub(b.until) > fetchTimeout
	ctx, cancel := context.WithDeadline(s.shard.env.ctx, s.life.Before(now.Add(fetchTimeout), now))
	err := s.reader.Fetch(ctx, calm)
	cancel()
	switch {
	case err == nil && calm:
		s.history = nil
		return true
	case err == nil:
		b.pause = 0
		return true
	}
	if b == nil {
		b = &backoff{}
		s.history = b
	}
	if errors.Is(err, store.ErrStale) {
		b.pause = min(max(2*b.pause, staleRetry), fetchRetry)
	} else {
		b.pause = fetchRetry/2 + rand.N(fetchRetry)
	}
	b.until = time.Now().Add(b.pause)
	return false
}

// reasonOf maps the error of a connection to the reason of the stream's end.
func (s *Stream) reasonOf(err error) string {
	var netErr net.Error
	due := s.endReason(time.Now())
	switch {
	case due == metrics.EndWriteTimeout:
		return due
	case errors.Is(err, conn.ErrGone), isPeerError(err):
		return metrics.EndClient
	case due != "":
		return due // it had to end, and the client did not take the last bytes
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return metrics.EndWriteTimeout
	}
	return metrics.EndWriteError
}

// isPeerError reports that the client closed or reset the connection.
func isPeerError(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) ||
		errors.Is(err, net.ErrClosed)
}

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
