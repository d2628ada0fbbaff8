package listener

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// HeadTimeout bounds how long a connection may take for all that comes
	// before a request: a PROXY header, a TLS handshake, and the head.
	HeadTimeout = 10 * time.Second
	// maxHead is the longest PROXY header, in bytes.
	maxHead = 4 << 10
)

// Config is what New needs.
type Config struct {
	TrustedProxies []netip.Prefix
	ProxyProtocol  bool         // trusted proxies begin each connection with a PROXY header
	MaxFDs         int          // descriptors for clients, pending or hijacked
	MaxPerIP       int          // pending connections per client address; 0: no limit
	Hijacked       func() int64 // connections that were hijacked and are open
	Throttled      prometheus.Counter
	Log            *slog.Logger
}

// Listener accepts the connections of clients, whose word and whose appetite
// for work are not trusted. The http.Server that serves it needs its ConnState,
// its ConnContext and its Handler. Its methods may be called concurrently.
type Listener struct {
	net.Listener
	cfg     Config
	pending *pendingLimiter
	conns   chan accepted // for Accept

	closing sync.Once
	closed  chan struct{} // closed by Close
}

// accepted is what Accept returns.
type accepted struct {
	conn net.Conn
	err  error
}

// New makes a Listener of a TCP listener. It accepts until Close is called.
func New(l net.Listener, cfg Config) *Listener {
	own := &Listener{
		Listener: l, cfg: cfg,
		pending: newPendingLimiter(cfg.MaxFDs, cfg.MaxPerIP, cfg.TrustedProxies, cfg.Hijacked),
		conns:   make(chan accepted), closed: make(chan struct{}),
	}
	go own.accept()
	return own
}

// Accept returns a connection that has a place of the limits, after its PROXY
// header if it has to have one.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case a := <-l.conns:
		return a.conn, a.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends the listener. Connections that Accept has returned stay.
func (l *Listener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// ConnState is the http.Server's. It gives a connection's place back.
func (l *Listener) ConnState(c net.Conn, s http.ConnState) {
	if s != http.StateHijacked && s != http.StateClosed {
		return
	}
	if own := unwrap(c); own != nil {
		own.place.leave()
	}
}

// accept passes connections on until the listener is closed.
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
			_ = tcp.Close()
		case trusted && l.cfg.ProxyProtocol:
			go l.receiveProxyHeader(tcp, p)
		default:
			l.serve(tcp, p, tcp.RemoteAddr(), trusted, nil)
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
	if source == nil {
		l.serve(tcp, p, tcp.RemoteAddr(), true, rest)
		return
	}
	addr := addrOf(source)
	if !p.attribute(addr) {
		l.cfg.Log.Debug("a connection was closed: too many pending ones of its client", "client", addr)
		_ = tcp.Close()
		p.leave()
		return
	}
	l.serve(tcp, p, source, isTrusted(l.cfg.TrustedProxies, addr), rest)
}

// serve passes a connection on to net/http. prefix is what was read from it.
func (l *Listener) serve(tcp *net.TCPConn, p *place, remote net.Addr, trusted bool, prefix []byte) {
	c := &conn{TCPConn: tcp, remote: remote, place: p, prefix: prefix, throttled: l.cfg.Throttled.Inc}
	c.headBy.Store(time.Now().Add(HeadTimeout).UnixNano())
	if !trusted {
		c.limit = newReadLimiter()
	}
	if !l.pass(accepted{conn: c}) {
		_ = c.Close()
		p.leave()
	}
}

// pass has Accept return something. It reports false once the listener is
// closed.
func (l *Listener) pass(a accepted) bool {
	select {
	case l.conns <- a:
		return true
	case <-l.closed:
		return false
	}
}
