package engine

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
)

// hijackedConn is an HTTP/1 connection that was taken over from net/http, so that a
// stream costs no more than itself. One goroutine does everything: it waits in a
// read, which tells at once when the client goes, and is woken by the read's
// deadline.
type hijackedConn struct {
	net.Conn
	plain    bool // it can be parked
	failed   bool // a write has failed
	woken    atomic.Bool
	deadline writeDeadline
	writes   blockingWrites
}

func newHijackedConn(c net.Conn, plain bool) *hijackedConn {
	return &hijackedConn{Conn: c, plain: plain, deadline: writeDeadline{set: c.SetWriteDeadline}}
}

func (c *hijackedConn) wake() {
	if !c.woken.Swap(true) {
		_ = c.SetReadDeadline(past)
	}
}

func (c *hijackedConn) startClosing() {
	c.deadline.startClosing()
	c.wake()
}

func (c *hijackedConn) abort() {
	c.deadline.abort()
	c.wake()
}

func (c *hijackedConn) setDeadline(t time.Time) { c.deadline.limit(t) }

func (c *hijackedConn) peer() peerState {
	if queued, acked, ok := peerProgress(c.Conn); ok {
		return peerState{waiting: queued > 0, taken: acked}
	}
	return c.writes.peer()
}

// fallbackChunk is the most that is written at once to a connection of which the
// system does not tell what the client has taken, in bytes: its progress is seen
// from one write to the next.
const fallbackChunk = 4 << 10

func (c *hijackedConn) write(p []byte) (n int, err error) {
	chunk := len(p)
	if !reactor.SeesProgress {
		chunk = fallbackChunk
	}
	n, err = c.writes.each(p, chunk, c.Conn.Write)
	c.failed = c.failed || err != nil
	return n, err
}

func (c *hijackedConn) wait(until time.Time) error {
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

func (c *hijackedConn) parkable() bool { return c.plain }

func (c *hijackedConn) close() {
	bare := bareConn(c.Conn)
	aborted := c.deadline.leave()
	if aborted {
		discardUnsent(bare)
	}
	if bare != c.Conn && !aborted && !c.failed {
		// The end of the TLS session is told to the client, if it takes that in time.
		defer time.AfterFunc(closeGrace, func() { _ = bare.Close() }).Stop()
		_ = c.Conn.Close()
		return
	}
	_ = bare.Close()
}

// bareConn returns the connection below TLS.
func bareConn(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}

// discardUnsent has Close throw away what the client has not taken. Otherwise the
// kernel would hold it, and send it again, for minutes.
func discardUnsent(bare net.Conn) {
	if t, ok := bare.(interface{ SetLinger(sec int) error }); ok {
		_ = t.SetLinger(0)
	}
}

// peerProgress is reactor.PeerProgress of a connection, TLS or not.
func peerProgress(c net.Conn) (queued int, acked uint64, ok bool) {
	sc, is := bareConn(c).(syscall.Conn)
	if !is {
		return 0, 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	if err := raw.Control(func(fd uintptr) { queued, acked, ok = reactor.PeerProgress(int32(fd)) }); err != nil {
		return 0, 0, false
	}
	return queued, acked, ok
}

// blockingWrites tells how far a goroutine is that writes. It may be used
// concurrently.
type blockingWrites struct {
	active atomic.Bool
	done   atomic.Uint64 // writes that have returned
}

// each calls write with p, in parts of at most chunk bytes.
func (w *blockingWrites) each(p []byte, chunk int, write func([]byte) (int, error)) (n int, err error) {
	w.active.Store(true)
	defer w.active.Store(false)
	for n < len(p) && err == nil {
		var took int
		took, err = write(p[n:min(len(p), n+chunk)])
		n += took
		w.done.Add(1)
	}
	return n, err
}

func (w *blockingWrites) peer() peerState {
	return peerState{waiting: w.active.Load(), taken: w.done.Load()}
}
