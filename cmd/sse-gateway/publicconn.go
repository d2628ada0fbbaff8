package main

import (
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// publicListener accepts the connections of clients, whose word and whose
// appetite for work are not trusted.
type publicListener struct {
	net.Listener
	trusted   []netip.Prefix     // proxies
	proxied   bool               // they begin each connection with a PROXY header
	waiting   *waiting           // where clients that such a header names are counted
	throttled prometheus.Counter // connections
	log       *slog.Logger
}

// Accept returns proxies' connections as they are: they carry the requests of
// many.
func (l *publicListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn, nil
	}
	c := &clientConn{TCPConn: tcp, listener: l, meter: newMeter(time.Now())}
	switch {
	case !isTrusted(l.trusted, addrOf(tcp.RemoteAddr())):
	case l.proxied:
		c.header = newProxyHeader(tcp)
	default:
		return tcp, nil
	}
	return c, nil
}

// clientConn is a connection of the public listener, until a stream has it for
// itself (Unwrap). Reads are paused once the client has sent more than its
// meter allows.
type clientConn struct {
	*net.TCPConn
	listener *publicListener
	header   *proxyHeader // nil: there is none to be expected
	exempt   bool         // a trusted proxy's, behind another one

	meter    meter                         // owned by the reader
	deadline atomic.Int64                  // of reads, in Unix nanoseconds; 0: none
	closed   atomic.Bool                   // so that a pause ends
	paused   atomic.Pointer[chan struct{}] // has capacity 1; nil before the first pause
}

// Unwrap returns the bare connection, on which what the client sends is not
// limited. The gateway calls it when it has taken the connection over: it reads
// no more than it has to, and a PROXY header has been taken off by then, with
// nothing held back behind it.
func (c *clientConn) Unwrap() net.Conn { return c.TCPConn }

// RemoteAddr returns the client's address. It waits for the PROXY header if
// there is to be one, so nobody who must not wait may call it; they have peer.
func (c *clientConn) RemoteAddr() net.Addr {
	if c.header != nil {
		if addr := c.header.source(c); addr != nil {
			return addr
		}
	}
	return c.peer()
}

// peer returns the address of the other end, which may be a proxy.
func (c *clientConn) peer() net.Addr { return c.TCPConn.RemoteAddr() }

func (c *clientConn) Read(p []byte) (int, error) {
	if c.header != nil {
		if n, err := c.header.read(c, p); n > 0 || err != nil {
			c.meter.take(n)
			return n, err
		}
	}
	if c.meter.empty() && !c.exempt {
		if err := c.pause(); err != nil {
			return 0, err
		}
	}
	n, err := c.TCPConn.Read(p)
	c.meter.take(n)
	return n, err
}

func (c *clientConn) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	c.meter.written.Add(int64(n))
	return n, err
}

// pause waits until the client may send again. It ends early with the
// connection, which the read that follows will find, and fails with the deadline,
// which it might not find yet: that is another clock's.
func (c *clientConn) pause() error {
	wait := c.meter.fill(time.Now())
	if wait == 0 {
		return nil
	}
	changed := c.paused.Load()
	if changed == nil {
		c.listener.throttled.Inc()
		ch := make(chan struct{}, 1)
		changed = &ch
		c.paused.Store(changed)
		_ = c.SetReadBuffer(readBurst) // the kernel is not to keep megabytes of it
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for !c.closed.Load() {
		var due <-chan time.Time
		at := c.deadline.Load()
		if at != 0 {
			due = time.After(time.Until(time.Unix(0, at)))
		}
		select {
		case <-timer.C:
			if wait = c.meter.fill(time.Now()); wait == 0 {
				return nil
			}
			timer.Reset(wait)
		case <-due:
			if c.deadline.Load() == at { // or it was moved in this moment
				return os.ErrDeadlineExceeded
			}
		case <-*changed:
		}
	}
	return nil
}

// nudge has a pause look at the deadline, and whether there is a connection.
func (c *clientConn) nudge() {
	if changed := c.paused.Load(); changed != nil {
		select {
		case *changed <- struct{}{}:
		default:
		}
	}
}

func (c *clientConn) SetDeadline(t time.Time) error {
	err := c.TCPConn.SetDeadline(t)
	c.setReadDeadline(t)
	return err
}

func (c *clientConn) SetReadDeadline(t time.Time) error {
	err := c.TCPConn.SetReadDeadline(t)
	c.setReadDeadline(t)
	return err
}

func (c *clientConn) setReadDeadline(t time.Time) {
	at := int64(0)
	if !t.IsZero() {
		at = t.UnixNano()
	}
	c.deadline.Store(at)
	c.nudge()
}

func (c *clientConn) Close() error {
	c.closed.Store(true)
	err := c.TCPConn.Close()
	c.nudge()
	return err
}

// isTrusted reports whether an address is a proxy's.
func isTrusted(trusted []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// addrOf returns the address without port and zone, or the zero one.
func addrOf(a net.Addr) netip.Addr {
	peer, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap()
}
