package listener

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sse-gateway/sse-gateway/gateway/internal/head"
)

const (
	// HeadTimeout bounds how long a connection may take for all that comes
	// before a request: a PROXY header, a TLS handshake, and the head.
	HeadTimeout = 10 * time.Second
	// maxHead is the longest head that is kept, and the longest PROXY header, in bytes.
	maxHead = head.Max
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

	// Handler and IsStream have requests for a stream decided before net/http
	// has the connection, where the system allows it. IsStream tells from a
	// request whether Handler may start a stream; it is called concurrently. nil:
	// net/http has everything.
	Handler  http.Handler
	IsStream func(*http.Request) bool
	// TLS says that connections begin with a handshake.
	TLS bool
	// Portable has connections accepted as on a system without a reactor.
	Portable bool
}

// Listener accepts the connections of clients, whose word and whose appetite
// for work are not trusted. The http.Server that serves it needs its ConnState,
// its ConnContext and its Handler. Its methods may be called concurrently.
//
// A connection for which there is no place, that Close finds without a request, or
// whose request is not answered, is reset: after an orderly end without an answer
// Firefox closes an EventSource for good, after a reset it tries again.
type Listener struct {
	net.Listener
	cfg     Config
	pending *pendingLimiter
	conns   chan accepted // for Accept

	closing sync.Once
	closed  chan struct{} // closed by Close
	running sync.WaitGroup
	// deciding are the requests that workers have or are to have. None comes after
	// running.
	deciding sync.WaitGroup
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
	if !cfg.Portable && own.startReactor() {
		return own
	}
	own.running.Go(own.accept)
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

// Close ends the listener and closes the connections of which no head has come.
// Those that Accept has returned stay, and requests that are being decided go on.
func (l *Listener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	err := l.Listener.Close()
	l.running.Wait()
	return err
}

// Wait waits until the requests that Close has found are decided, or until ctx is
// done. What is no stream of these is reset. It must not be called before Close.
func (l *Listener) Wait(ctx context.Context) {
	decided := make(chan struct{})
	go func() { l.deciding.Wait(); close(decided) }()
	select {
	case <-decided:
	case <-ctx.Done():
	}
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
