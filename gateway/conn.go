package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
)

// past is a deadline that makes a read or write return at once.
var past = time.Unix(1, 0)

// takenConn is an HTTP/1.1 connection that was taken over from net/http, so
// that a stream costs no more than itself. One goroutine does everything: it
// waits in a read, which tells at once when the client goes, and is woken by
// the read's deadline.
type takenConn struct {
	net.Conn
	chunk    int  // the most that is written at once, in bytes
	park     bool // it is plain TCP, on a system that has a poller for it
	failed   bool // a write has failed
	watch    *writeWatch
	silence  *heldTimeout
	woken    atomic.Bool
	lastCall lastCall
}

// tlsChunk is the most that is written to a TLS connection at once: a write
// that meets its deadline breaks the connection, so progress is only seen from
// one write to the next.
const tlsChunk = 4 << 10

func newTakenConn(c net.Conn, park bool) *takenConn {
	t := &takenConn{Conn: c, chunk: maxBatch, park: park}
	t.silence = &heldTimeout{conn: c}
	t.watch = newWriteWatch(c, t.setDeadline, t.silence.hold, nil)
	if _, ok := c.(*tls.Conn); ok {
		t.chunk = tlsChunk
	}
	return t
}

func (c *takenConn) wake() {
	if !c.woken.Swap(true) {
		_ = c.SetReadDeadline(past)
	}
}

func (c *takenConn) hurry() {
	_ = c.SetWriteDeadline(c.lastCall.set())
	c.wake()
}

func (c *takenConn) write(p []byte, timeout time.Duration, end time.Time) error {
	c.silence.restore()
	for len(p) > 0 {
		if err := c.setDeadline(timeout, end); err != nil {
			return err
		}
		c.watch.begin(timeout, end)
		n, err := c.Conn.Write(p[:min(len(p), c.chunk)])
		told := c.watch.over()
		p = p[n:]
		// A client that has taken some of it is slow, not gone.
		if err != nil && (n == 0 || told || isOver(end) || c.lastCall.called() || !errors.Is(err, os.ErrDeadlineExceeded)) {
			c.failed = true
			return err
		}
	}
	return nil
}

func (c *takenConn) setDeadline(timeout time.Duration, end time.Time) error {
	return c.lastCall.setDeadline(c.SetWriteDeadline, timeout, end)
}

func (c *takenConn) farewell(p []byte) {
	c.lastCall.postpone()
	_ = c.write(p, farewellTimeout, time.Time{})
}

// maxIgnored is how much a client may send at a time on an event stream, where
// nothing that it sends means anything, in bytes.
const maxIgnored = 64 << 10

func (c *takenConn) wait(until time.Time) error {
	for total := 0; total < maxIgnored; {
		if c.woken.Swap(false) {
			return nil
		}
		if err := c.SetReadDeadline(until); err != nil {
			return errGone
		}
		if c.woken.Swap(false) { // woken between the two: its deadline was overwritten
			return nil
		}
		var ignored [256]byte
		n, err := c.Conn.Read(ignored[:])
		total += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.woken.Store(false)
			return nil
		}
		if err != nil {
			return errGone
		}
	}
	return errGone
}

// parkable leaves out a connection whose TCP_USER_TIMEOUT is off: nobody would
// put it back.
func (c *takenConn) parkable() bool { return c.park && !c.silence.isOff() }

func (c *takenConn) close() {
	if t, ok := c.Conn.(*tls.Conn); ok && c.failed {
		// Its Close would wait for a client that takes nothing to take the
		// end of the session.
		_ = t.NetConn().Close()
	} else if ok {
		defer time.AfterFunc(farewellTimeout, func() { _ = t.NetConn().Close() }).Stop()
	}
	_ = c.Conn.Close()
}

// responseConn is a stream of an HTTP/2 connection, or any other response that
// cannot be taken over. The goroutine that drives it is the request's.
type responseConn struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	ctx   context.Context // ends when the client goes
	woken chan struct{}   // capacity 1
	slow  bool            // the last write had to wait for the client
	under *heldTimeout    // the connection, which other streams share
	watch *writeWatch

	lastCall lastCall

	// mu guards over. Invariant: nothing of w is used by another goroutine
	// once the request's has left it, which net/http asks for.
	mu   sync.Mutex
	over bool
}

func newResponseConn(w http.ResponseWriter, r *http.Request) *responseConn {
	c := &responseConn{w: w, rc: http.NewResponseController(w), ctx: r.Context(), woken: make(chan struct{}, 1), under: connOf(r.Context())}
	c.watch = newWriteWatch(c.under.conn, c.setDeadline, c.under.hold, c.stuck)
	return c
}

func (c *responseConn) wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

func (c *responseConn) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	_ = c.rc.SetWriteDeadline(c.lastCall.set())
	c.wake()
}

// responseChunk is the most that is written to a response at once, in bytes, and
// slowChunk if its client takes its time: progress is seen from one write to the
// next.
const (
	responseChunk = 16 << 10
	slowChunk     = 4 << 10
)

func (c *responseConn) write(p []byte, timeout time.Duration, end time.Time) error {
	c.under.restore()
	for len(p) > 0 {
		if err := c.setDeadline(timeout, end); err != nil {
			return err
		}
		start, chunk := time.Now(), responseChunk
		if c.slow {
			chunk = slowChunk
		}
		c.watch.begin(timeout, end)
		n, err := c.w.Write(p[:min(len(p), chunk)])
		p = p[n:]
		if err == nil {
			err = c.rc.Flush()
		}
		c.watch.over()
		c.slow = time.Since(start) > slowWrite
		if err != nil {
			// A connection that takes nothing at all is closed by the server or
			// the kernel at about the time of the deadline.
			if time.Since(start) >= timeout-timeout/10 {
				return os.ErrDeadlineExceeded
			}
			if c.ctx.Err() != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return errGone
			}
			return err
		}
	}
	// Nothing is being written: the deadline must not end the idle stream.
	return c.rc.SetWriteDeadline(time.Time{})
}

// stuck ends the connection, with all its streams: its client has taken nothing
// for the write time-out. That a stream which is over had less is its own affair.
func (c *responseConn) stuck() {
	if !c.lastCall.called() {
		c.under.close()
	}
}

func (c *responseConn) setDeadline(timeout time.Duration, end time.Time) error {
	return c.lastCall.setDeadline(c.rc.SetWriteDeadline, timeout, end)
}

func (c *responseConn) farewell(p []byte) {
	c.lastCall.postpone()
	_ = c.write(p, farewellTimeout, time.Time{})
}

func (c *responseConn) wait(until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-c.woken:
	case <-timer.C:
	case <-c.ctx.Done():
		return errGone
	}
	return nil
}

func (c *responseConn) parkable() bool { return false }

func (c *responseConn) close() {
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
}

// lastCall is when a stream that was told to end has to have written the event
// that it is in the middle of, whatever its size and however the client doles
// out its progress; its farewell then has as long again. It may be used
// concurrently.
type lastCall struct{ at atomic.Int64 } // by the monotonic clock; 0: not called

// set calls, if nobody has yet, and returns for when.
func (l *lastCall) set() time.Time {
	l.at.CompareAndSwap(0, reactor.Nanos(time.Now().Add(farewellTimeout)))
	return reactor.Time(l.at.Load())
}

// postpone gives the farewell its time, for the goroutine may be late.
func (l *lastCall) postpone() { l.at.Store(reactor.Nanos(time.Now().Add(farewellTimeout))) }

func (l *lastCall) called() bool { return l.at.Load() != 0 }

// limit returns the deadline, or the last call if that was called and is
// earlier.
func (l *lastCall) limit(deadline time.Time) (_ time.Time, called bool) {
	at := l.at.Load()
	if at == 0 {
		return deadline, false
	}
	return earlier(deadline, reactor.Time(at)), true
}

// setDeadline calls set so that the client has that long to take something, but
// not longer than until end and the last call.
func (l *lastCall) setDeadline(set func(time.Time) error, timeout time.Duration, end time.Time) error {
	for {
		deadline, called := l.limit(writeDeadline(timeout, end))
		if err := set(deadline); err != nil || called || !l.called() {
			return err
		}
		// Called between the two: that deadline was overwritten.
	}
}

// writeDeadline returns when a write that begins now has to be done.
func writeDeadline(timeout time.Duration, end time.Time) time.Time {
	t := time.Now().Add(timeout)
	if end.IsZero() {
		return t
	}
	return earlier(t, end)
}

func isOver(end time.Time) bool { return !end.IsZero() && !time.Now().Before(end) }

// isPeerError reports that the client closed or reset the connection.
func isPeerError(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) ||
		errors.Is(err, net.ErrClosed)
}
