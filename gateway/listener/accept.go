package listener

import (
	"errors"
	"net"
	"time"
)

// accept passes connections on until the listener is closed. It is for systems
// without a reactor: each connection with a PROXY header has a goroutine meanwhile.
func (l *Listener) accept() {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			// net/http tells a passing error from a final one, and waits.
			if l.pass(accepted{err: err}); errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			_ = c.Close()
			continue
		}
		peer := addrOf(tcp.RemoteAddr())
		p := l.pending.admit(peer)
		trusted := isTrusted(l.cfg.TrustedProxies, peer)
		switch {
		case p == nil:
			_ = tcp.SetLinger(0)
			_ = tcp.Close()
		case trusted && l.cfg.ProxyProtocol:
			go l.receiveProxyHeader(tcp, p)
		default:
			l.serve(&conn{TCPConn: tcp, place: p, remote: tcp.RemoteAddr()}, trusted, time.Now().Add(HeadTimeout))
		}
	}
}

// receiveProxyHeader reads the PROXY header of a proxy's connection and passes
// the connection on as the client's. There is nobody to answer if that fails.
func (l *Listener) receiveProxyHeader(tcp *net.TCPConn, p *place) {
	_ = tcp.SetReadDeadline(time.Now().Add(HeadTimeout))
	var b []byte
	for chunk := make([]byte, maxHead); ; {
		n, err := tcp.Read(chunk[:maxHead-len(b)])
		if b = append(b, chunk[:n]...); err == nil || n > 0 {
			var source *net.TCPAddr
			var length int
			if source, length, err = parseProxyHeader(b); err == nil && length == 0 {
				continue
			}
			if err == nil {
				l.serveProxied(tcp, p, source, b[length:])
				return
			}
		}
		l.cfg.Log.Debug("a connection was closed: no PROXY header from an address in SSE_TRUSTED_PROXIES", "peer", tcp.RemoteAddr(), "error", err)
		_ = tcp.Close()
		p.leave()
		return
	}
}

// serveProxied passes on a connection whose PROXY header has named its source;
// nil is the proxy itself.
func (l *Listener) serveProxied(tcp *net.TCPConn, p *place, source *net.TCPAddr, rest []byte) {
	by := time.Now().Add(HeadTimeout)
	if source == nil {
		l.serve(&conn{TCPConn: tcp, place: p, remote: tcp.RemoteAddr(), prefix: rest}, true, by)
		return
	}
	addr := addrOf(source)
	if !p.attribute(addr) {
		l.cfg.Log.Debug("a connection was closed: too many pending ones of its client", "client", addr)
		_ = tcp.Close()
		p.leave()
		return
	}
	l.serve(&conn{TCPConn: tcp, place: p, remote: source, prefix: rest}, isTrusted(l.cfg.TrustedProxies, addr), by)
}

// serve passes a connection on to net/http. trusted is that its client is a
// proxy. The first head has to be there at headBy.
func (l *Listener) serve(c *conn, trusted bool, headBy time.Time) {
	c.throttled = l.cfg.Throttled.Inc
	c.headBy.Store(headBy.UnixNano())
	if !trusted {
		c.limit = newReadLimiter()
	}
	if !l.pass(accepted{conn: c}) {
		_ = c.SetLinger(0)
		_ = c.Close()
		c.place.leave()
	}
}
