package gateway

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// conn is a client's connection as the goroutine that drives a stream uses it.
type conn interface {
	driver
	// write writes all of p. It fails if the client takes nothing for timeout,
	// or has not taken all of it by end, unless that is zero.
	write(p []byte, timeout time.Duration, end time.Time) error
	// farewell writes all of p, the last bytes of the stream, if the client
	// takes them within farewellTimeout.
	farewell(p []byte)
	// wait returns when the connection was woken, when the moment has come, or
	// with an error when the client has gone.
	wait(until time.Time) error
	// parkable reports that the stream can wait without a goroutine.
	parkable() bool
	close()
}

// errGone tells that the client has gone.
var errGone = errors.New("the client has gone")

const (
	// fetchTimeout bounds how long a stream waits for history before it looks
	// after its other channels, heartbeats and the like. The read itself goes on,
	// and whoever asks again soon gets its page.
	fetchTimeout = time.Second
	// fetchRetry is about how long a stream waits after history failed, and
	// staleRetry how long at first if what there was is older than the window.
	fetchRetry = 500 * time.Millisecond
	staleRetry = 10 * time.Millisecond
	// slowWrite is how long a write takes for its client to count as slow.
	slowWrite = time.Second
	// farewellTimeout bounds what a stream that is told to end still writes:
	// what it is writing, and then as long again its last bytes.
	farewellTimeout = time.Second
)

// drive writes a stream to its client, rest first, until it ends, and returns
// why: a reason of metrics.Gateway.Disconnects. If the connection can be
// parked it returns "" as soon as the stream is up to date.
func (s *stream) drive(c conn, rest []byte) (reason string) {
	var d driver = c
	s.driver.Store(&d)
	if s.ending.Load() != nil {
		d.hurry() // end came before there was somebody to tell
	}
	written := len(rest) > 0 || len(s.large) > 0
	if err := s.writeWithLarge(c, rest); err != nil {
		return s.endOf(err)
	}
	beat := reactor.Time(s.parked.beat) // a goroutine or none: it was idle all the while
	if written {
		beat = s.nextBeat(time.Now())
	}
	var pause time.Duration // before history is read again, after it failed
	var again time.Time     // when that is over
	for {
		wrote, state, err := s.writeBatch(c)
		if over, is := err.(overError); is {
			s.farewell(c, string(over))
			return string(over)
		}
		if err != nil {
			return s.endOf(err)
		}
		if wrote {
			beat = s.nextBeat(time.Now())
		}
		until := beat
		switch state {
		case fillMore:
			continue
		case fillIdle:
			if c.parkable() && !s.slow {
				s.parked.beat = reactor.Nanos(beat)
				return ""
			}
			s.slow = false
		case fillBehind:
			// Not with every event of another channel, either.
			if !time.Now().Before(again) {
				if pause = s.fetchSoon(pause); pause == 0 {
					// The next page is another channel's, unless that is the one that failed.
					if time.Since(again) > fetchTimeout {
						s.turn = s.behind
					}
					continue
				}
				again = time.Now().Add(pause)
			}
			until = earlier(until, again)
		}
		if err := c.wait(s.beforeEnd(until)); err != nil {
			return s.endOf(err)
		}
		if now := time.Now(); !now.Before(beat) && s.ended(now) == "" {
			if err := s.write(c, []byte(sse.Heartbeat), s.lastWrite()); err != nil {
				return s.endOf(err)
			}
			beat = s.nextBeat(time.Now())
			s.g.countWrite(len(sse.Heartbeat))
		}
	}
}

// overError is why a stream has to end, of which its client can still be told.
type overError string

func (e overError) Error() string { return "the stream is over: " + string(e) }

// over returns an overError if the stream has to end now.
func (s *stream) over() error {
	if reason := s.ended(time.Now()); reason != "" {
		return overError(reason)
	}
	return nil
}

// writeBatch writes one batch, if there is something to write. It fails with an
// overError, and nothing is written, if the stream has to end.
func (s *stream) writeBatch(c conn) (wrote bool, state fillState, err error) {
	if s.idle() {
		return false, fillIdle, s.over()
	}
	out := s.begin()
	defer s.finish()
	out.b, state = s.fill(out.b)
	// Not before that: nothing is sent that was published after the end of a grant.
	if err := s.over(); err != nil {
		return false, state, err
	}
	n := len(out.b) + len(s.large)
	if n == 0 {
		return false, state, nil
	}
	if err := s.writeWithLarge(c, out.b); err != nil {
		return false, state, err
	}
	out.count(s.g.metrics, n, 1, time.Now())
	return true, state, nil
}

// writeWithLarge writes b and then the large frame that belongs after it, if
// there is one.
func (s *stream) writeWithLarge(c conn, b []byte) error {
	end := s.lastWrite()
	for len(b) > 0 || len(s.large) > 0 {
		if len(b) > 0 {
			if err := s.write(c, b, end); err != nil {
				return err
			}
		}
		b, s.large = s.large, nil
	}
	return nil
}

// lastWrite returns when what is written now has to be done because the stream
// is over; zero if it never is. A write that begins shortly before that has its
// time, as one has of a stream that is told to end: or a client that is quick
// would get neither its event nor a farewell.
func (s *stream) lastWrite() time.Time {
	now := time.Now()
	end, soonest := s.endsAt(now), now.Add(farewellTimeout)
	if !end.IsZero() && end.Before(soonest) {
		return soonest
	}
	return end
}

// write writes all of b by end. A client that is slow to take it gets smaller
// batches from then on, until it is quick again, and no page of history is kept
// for it.
func (s *stream) write(c conn, b []byte, end time.Time) error {
	start := time.Now()
	if err := c.write(b, s.g.cfg.WriteTimeout, end); err != nil {
		return err
	}
	if s.slow = time.Since(start) > slowWrite; s.slow {
		s.dropPage()
	}
	return nil
}

// fetchSoon reads a page of history. It returns how long to wait, and look after
// the client, before it is called again, given what that was the last time: 0 if
// the page was read.
func (s *stream) fetchSoon(last time.Duration) time.Duration {
	ctx, cancel := context.WithDeadline(s.g.ctx, s.beforeEnd(time.Now().Add(fetchTimeout)))
	defer cancel()
	switch err := s.fetch(ctx); {
	case err == nil:
		return 0
	case errors.Is(err, store.ErrStale):
		return min(max(2*last, staleRetry), fetchRetry)
	}
	return fetchRetry/2 + rand.N(fetchRetry)
}

// farewell tells the client when to come back: each at another time.
func (s *stream) farewell(c conn, reason string) {
	if b := s.appendFarewell(nil, reason); len(b) > 0 {
		c.farewell(b)
	}
}

func (s *stream) appendFarewell(b []byte, reason string) []byte {
	switch reason {
	case metrics.EndClient: // nobody is there to read it
	case metrics.EndShutdown: // there may not be another replica to come back to
	default:
		b = appendRetry(b, s.g.cfg.Retry)
	}
	return b
}

// nextBeat is when a connection that is written to now will have been idle for
// a heartbeat, ±20 %.
func (s *stream) nextBeat(now time.Time) time.Time { return now.Add(jitter(s.g.cfg.Heartbeat)) }

// endOf maps the error of a connection to the reason of the stream's end.
func (s *stream) endOf(err error) string {
	var netErr net.Error
	due := s.ended(time.Now())
	switch {
	case errors.Is(err, errGone), isPeerError(err):
		return metrics.EndClient
	case due != "":
		return due // it had to end and the client did not take the last bytes
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return metrics.EndWriteTimeout
	}
	return metrics.EndWriteError
}

// beforeEnd returns t, or when the stream has to end if that is earlier.
func (s *stream) beforeEnd(t time.Time) time.Time {
	if end := s.endsAt(time.Now()); !end.IsZero() {
		return earlier(t, end)
	}
	return t
}

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
