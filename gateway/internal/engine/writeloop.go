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

	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// conn is a client's connection as the goroutine of its stream uses it.
type conn interface {
	writer
	sink // write blocks until the client has all of p
	// setDeadline has writes from now on fail at a time; zero: never. It does not
	// put off what startClosing and abort have set.
	setDeadline(t time.Time)
	// wait returns when the connection was woken, when the time has come, or with
	// an error when the client has gone.
	wait(until time.Time) error
	// parkable reports that the stream can wait without a goroutine.
	parkable() bool
	// close closes the connection. If it is aborted, bytes that the client has not
	// taken are thrown away.
	close()
}

// errGone tells that the client has gone.
var errGone = errors.New("the client has gone")

const (
	// fetchTimeout bounds how long a stream waits for history before it looks
	// after its other channels and its heartbeat. The read itself goes on, and
	// whoever asks again soon gets its page.
	fetchTimeout = time.Second
	// fetchRetry is about how long a stream waits after history failed, and
	// staleRetry how long at first if what there was is older than the window.
	fetchRetry = 500 * time.Millisecond
	staleRetry = 10 * time.Millisecond
	// slowWrite is how long a write takes for its client to count as slow.
	slowWrite = time.Second
	// closeGrace is what a stream that is told to end has for the event that it is
	// writing and for its closing frame together.
	closeGrace = 1500 * time.Millisecond
)

// backoff is when history that could not be read is read again.
type backoff struct {
	pause time.Duration // 0: it was read
	until time.Time
}

// writeLoop writes the stream to its client until it ends, and returns why: a
// reason of metrics.Gateway.Disconnects. If the connection can be parked it returns
// "" as soon as the stream is up to date.
func (s *Stream) writeLoop(c conn) (reason string) {
	if s.ending.Load() != nil {
		c.startClosing() // end came before there was somebody to tell
	}
	var history backoff
	for {
		o, err := s.stepBlocking(c)
		if err != nil {
			return s.reasonOf(err)
		}
		until := reactor.Time(s.heartbeatAt)
		switch o {
		case more:
			continue
		case mustEnd:
			return s.closing(c)
		case upToDate:
			if c.parkable() && !s.slow {
				return ""
			}
			s.slow = false
		case behind:
			if s.fetchWithBackoff(&history) {
				continue
			}
			until = earlier(until, history.until)
		}
		if err := c.wait(s.life.before(until, time.Now())); err != nil {
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

// stepBlocking is step, for a connection whose write blocks. A client that is slow
// to take it gets smaller batches from then on, until it is quick again, and no
// page of history is kept for it.
func (s *Stream) stepBlocking(c conn) (outcome, error) {
	start := time.Now()
	s.bound(c, start)
	o, err := s.step(c)
	if took := time.Since(start); took > slowWrite {
		s.slow = true
		s.discardPage()
	} else if o != upToDate {
		s.slow = false
	}
	return o, err
}

// bound sets when a write that begins now must be done because the stream must end.
// One that begins shortly before that has closeGrace, or a quick client would get
// neither its event nor a closing frame.
func (s *Stream) bound(c conn, now time.Time) {
	end := s.life.deadline(now)
	if soonest := now.Add(closeGrace); !end.IsZero() && end.Before(soonest) {
		end = soonest
	}
	c.setDeadline(end)
}

// fetchWithBackoff reads a page of history, unless that failed a moment ago. It
// reports whether the page was read.
func (s *Stream) fetchWithBackoff(b *backoff) bool {
	now := time.Now()
	if now.Before(b.until) { // not with every event of another channel, either
		return false
	}
	failedFor := now.Sub(b.until)
	ctx, cancel := context.WithDeadline(s.shard.env.ctx, s.life.before(now.Add(fetchTimeout), now))
	err := s.fetch(ctx)
	cancel()
	switch {
	case err == nil:
		// The next page is another channel's, unless that is the one that failed.
		if failedFor > fetchTimeout {
			s.nextChannel = s.behind
		}
		b.pause = 0
		return true
	case errors.Is(err, store.ErrStale):
		b.pause = min(max(2*b.pause, staleRetry), fetchRetry)
	default:
		b.pause = fetchRetry/2 + rand.N(fetchRetry)
	}
	b.until = time.Now().Add(b.pause)
	return false
}

// closing writes the last bytes of a stream that must end, and returns why.
func (s *Stream) closing(c conn) string {
	reason := s.endReason(time.Now())
	if reason == metrics.EndWriteTimeout {
		return reason // its client takes nothing
	}
	c.setDeadline(time.Time{}) // it was that of the stream's end
	c.startClosing()
	if b := s.appendClosing(nil, reason); len(b) > 0 {
		_, _ = c.write(b)
	}
	return reason
}

// appendClosing appends the last bytes of a stream: when to reconnect, each client
// at another time, and the end of the body, compressed or chunked. Without that end the client takes
// the end of the connection for an error, as it must if the process is killed.
func (s *Stream) appendClosing(b []byte, reason string) []byte {
	var body []byte
	switch reason {
	case metrics.EndClient, metrics.EndWriteTimeout: // nobody is there to read it
		return b
	case metrics.EndShutdown: // there may be no other replica to reconnect to
	case metrics.EndOfChannels: // there is nothing to reconnect for
	default:
		body = appendRetry(nil, s.shard.env.cfg.Retry)
	}
	if s.gzip {
		body = deflate.AppendEnd(deflate.AppendStored(nil, body), s.sum.Add(body))
	}
	if !s.chunked {
		return append(b, body...)
	}
	if len(body) > 0 {
		b = appendChunk(b, body)
	}
	return append(b, lastChunk...)
}

// reasonOf maps the error of a connection to the reason of the stream's end.
func (s *Stream) reasonOf(err error) string {
	var netErr net.Error
	due := s.endReason(time.Now())
	switch {
	case due == metrics.EndWriteTimeout:
		return due
	case errors.Is(err, errGone), isPeerError(err):
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
