package listener

import (
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// A subscriber sends its requests and, over HTTP/2, a few frames now and then.
// The frames of HTTP/2 that cost their sender nothing (PING, SETTINGS,
// RST_STREAM, empty ones) cost net/http about as much as a request each, and it
// takes as many as come: TestHostileFrameRate has the figures with and without
// this limit (PING as fast as it goes takes 65 % of a core without it and 2.5 to
// 5 % with it). So what is read from a connection is bounded in bytes, below TLS
// and whatever the protocol. Beyond the allowance it is read slowly, which
// leaves the rest with its sender. Nobody is cut: a flood and a client with
// much to say differ in their length only.
const (
	// readBurst is how much a connection may send at once, in bytes: two
	// requests with heads of the largest size, or a hundred ordinary ones.
	readBurst = 64 << 10
	// readRate is how much it may send beyond that, in bytes per second: 7,300
	// of the smallest frames, which have 9 bytes, or what Go's HTTP client, the
	// most talkative, acknowledges 10 MiB/s with (26 bytes for each 4 KiB).
	readRate = 64 << 10
	// minPause is how long a connection that has used up its allowance is left
	// alone at least: short beside any time-out, and long enough for the pauses
	// themselves to cost nothing.
	minPause = 100 * time.Millisecond
)

// readLimiter delays reads. Deadlines and the end of the connection end a
// delay, as they end a read.
type readLimiter struct {
	allowance *rate.Limiter
	changed   chan struct{} // capacity 1: deadline or closed have changed

	// Owned by the reader.
	resume    time.Time // nothing is read before
	throttled bool      // it was delayed once

	deadline atomic.Int64 // of reads, in Unix nanoseconds; 0: none
	closed   atomic.Bool
}

func newReadLimiter() *readLimiter {
	return &readLimiter{allowance: rate.NewLimiter(readRate, readBurst), changed: make(chan struct{}, 1)}
}

// took counts n bytes, at most readBurst, that were read at a time.
func (l *readLimiter) took(n int, now time.Time) {
	if delay := l.allowance.ReserveN(now, n).DelayFrom(now); delay > 0 {
		l.resume = now.Add(max(delay, minPause))
	}
}

// wait returns when the reader may read on, or os.ErrDeadlineExceeded. It
// returns nil for a connection that was closed: the read finds that.
func (l *readLimiter) wait() error {
	timer := time.NewTimer(time.Until(l.resume))
	defer timer.Stop()
	for !l.closed.Load() {
		var due <-chan time.Time
		at := l.deadline.Load()
		if at != 0 {
			due = time.After(time.Until(time.Unix(0, at)))
		}
		select {
		case <-timer.C:
			return nil
		case <-due:
			if l.deadline.Load() == at { // it was not moved in this moment
				return os.ErrDeadlineExceeded
			}
		case <-l.changed:
		}
	}
	return nil
}

// setDeadline moves the deadline of a read that is delayed.
func (l *readLimiter) setDeadline(t time.Time) {
	at := int64(0)
	if !t.IsZero() {
		at = t.UnixNano()
	}
	l.deadline.Store(at)
	l.notify()
}

// close ends a delay.
func (l *readLimiter) close() {
	l.closed.Store(true)
	l.notify()
}

func (l *readLimiter) notify() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// read reads from the connection when its limit allows it. throttled is called
// once for a connection, when it is delayed for the first time.
func (l *readLimiter) read(c *net.TCPConn, p []byte, throttled func()) (int, error) {
	if time.Until(l.resume) > 0 {
		if !l.throttled {
			l.throttled = true
			throttled()
			_ = c.SetReadBuffer(readBurst) // the kernel must not keep megabytes of it
		}
		if err := l.wait(); err != nil {
			return 0, err
		}
	}
	n, err := c.Read(p[:min(len(p), readBurst)])
	l.took(n, time.Now())
	return n, err
}
