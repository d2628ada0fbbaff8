package conn

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
)

// Hijacked is an HTTP/1 connection that was taken over from net/http, so that a
// stream costs no more than itself. One goroutine does everything: it waits in a
// read, which tells at once when the client goes, and is woken by the read's
// deadline.
type Hijacked struct {
	conn     net.Conn
	failed   bool // a write has failed
	woken    atomic.Bool
	deadline writeDeadline
	writes   blockingWrites
}

func NewHijacked(c net.Conn) *Hijacked {
	return &Hijacked{conn: c, deadline: writeDeadline{set: c.SetWriteDeadline}}
}

func (c *Hijacked) Wake() {
	if !c.woken.Swap(true) {
		_ = c.conn.SetReadDeadline(past)
	}
}

func (c *Hijacked) StartClosing() {
	c.deadline.startClosing()
	c.Wake()
}

func (c *Hijacked) Abort() {
	c.deadline.abort()
	c.Wake()
}

func (c *Hijacked) SetDeadline(t time.Time) { c.deadline.limit(t) }

func (c *Hijacked) Peer() PeerState {
	if queued, acked, ok := peerProgress(c.conn); ok {
		return PeerState{Waiting: queued > 0, Taken: acked}
	}
	return c.writes.peer()
}

// fallbackChunk is the most that is written at once to a connection of which the
// system does not tell what the client has taken, in bytes: its progress is seen
// from one write to the next.
const fallbackChunk = 4 << 10

func (c *Hijacked) Write(p []byte) (n int, err error) {
	chunk := len(p)
	if !reactor.SeesProgress {
		chunk = fallbackChunk
	}
	n, err = c.writes.each(p, chunk, c.conn.Write)
	c.failed = c.failed || err != nil
	return n, err
}

func (c *Hijacked) Wait(until time.Time) error {
	for total := 0; total < MaxIgnored; {
		if c.woken.Swap(false) {
			return nil
		}
		if err := c.conn.SetReadDeadline(until); err != nil {
			return ErrGone
		}
		if c.woken.Swap(false) { // woken between the two: its deadline was overwritten
			return nil
		}
		var ignored [256]byte
		n, err := c.conn.Read(ignored[:])
		total += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.woken.Store(false)
			return nil
		}
		if err != nil {
			return ErrGone
		}
	}
	return ErrGone
}

func (c *Hijacked) Close() {
	bare := bareConn(c.conn)
	aborted := c.deadline.leave()
	if aborted {
		discardUnsent(bare)
	}
	if bare != c.conn && !aborted && !c.failed {
		// The end of the TLS session is told to the client, if it takes that in time.
		defer time.AfterFunc(CloseGrace, func() { _ = bare.Close() }).Stop()
		_ = c.conn.Close()
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
