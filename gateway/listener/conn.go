package listener

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// conn is a pending connection that net/http serves. Once it is hijacked,
// Unwrap returns the bare one.
type conn struct {
	*net.TCPConn
	remote    net.Addr // the client's, as the PROXY header names it
	place     *place
	limit     *readLimiter // nil: not limited, because a trusted proxy sends for many
	throttled func()
	answer    *answer // of the first request, if that was decided before net/http had it
	// headBy is when the first request's head has to be there, however often
	// net/http begins to count anew; in Unix nanoseconds, 0 once it is there.
	headBy   atomic.Int64
	answered atomic.Bool // something was written

	prefix []byte // read from the connection already; owned by the reader
}

// Unwrap returns the bare connection, on which what the client sends is not
// limited. Whoever hijacks the connection must not need what the client has
// sent behind the head of its request.
func (c *conn) Unwrap() net.Conn { return c.TCPConn }

// RemoteAddr returns the client's address.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) Read(p []byte) (int, error) {
	if len(c.prefix) > 0 {
		n := copy(p, c.prefix)
		if c.prefix = c.prefix[n:]; len(c.prefix) == 0 {
			c.prefix = nil
		}
		return n, nil
	}
	if c.limit == nil {
		return c.TCPConn.Read(p)
	}
	return c.limit.read(c.TCPConn, p, c.throttled)
}

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetWriteDeadline(t); err != nil {
		return err
	}
	return c.SetReadDeadline(t)
}

// SetReadDeadline sets the deadline, or the earlier one by which the first head
// has to be there. net/http takes its deadline off when it has read the head.
func (c *conn) SetReadDeadline(t time.Time) error {
	if by := c.headBy.Load(); by != 0 {
		if t.IsZero() {
			c.headBy.Store(0)
		} else if limit := time.Unix(0, by); t.After(limit) {
			t = limit
		}
	}
	err := c.TCPConn.SetReadDeadline(t)
	if c.limit != nil {
		c.limit.setDeadline(t)
	}
	return err
}

// Write writes to the client.
func (c *conn) Write(p []byte) (int, error) {
	c.answered.Store(true)
	return c.TCPConn.Write(p)
}

// Close closes the connection, and resets it if a request was read and not
// answered, as net/http leaves those that it reads while it shuts down. See
// Listener.
func (c *conn) Close() error {
	if c.headBy.Load() == 0 && !c.answered.Load() {
		_ = c.SetLinger(0)
	}
	err := c.TCPConn.Close()
	if c.limit != nil {
		c.limit.close()
	}
	return err
}

type connKey struct{}

// ConnContext is part of the ConnContext of the http.Server.
func (l *Listener) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if own := unwrap(c); own != nil {
		ctx = context.WithValue(ctx, connKey{}, own)
	}
	return ctx
}

// connOf returns the connection of a request that came through a Listener, or nil.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// unwrap returns the connection of this package below c, or nil.
func unwrap(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	own, _ := c.(*conn)
	return own
}

// addrOf returns the address without port and zone, or the zero one.
func addrOf(a net.Addr) netip.Addr {
	peer, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().WithZone("").Unmap()
}
