package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/sse-gateway/sse-gateway/gateway/access"
)

// waiting bounds the public connections that net/http has: those whose request
// has not come yet, that are kept for another one, and HTTP/2. The streams
// that were taken over have a limit of their own, but both need descriptors,
// and Redis must never be short of them because clients open connections and
// say nothing.
type waiting struct {
	ceiling int          // of descriptors for clients
	taken   func() int64 // streams that were taken over
	trusted []netip.Prefix
	perIP   *access.Limiter // nil: no limit per address

	// mu guards the rest. Invariant: keys holds the place, if any, of every
	// connection that net/http has.
	mu   sync.Mutex
	keys map[net.Conn]access.Key
}

func newWaiting(ceiling, perIP int, trusted []netip.Prefix, taken func() int64) *waiting {
	w := &waiting{ceiling: ceiling, taken: taken, trusted: trusted, keys: make(map[net.Conn]access.Key)}
	if perIP > 0 {
		w.perIP = access.NewLimiter(perIP)
	}
	return w
}

// state is an http.Server.ConnState. A connection over a limit is closed
// before anything is read from it.
func (w *waiting) state(c net.Conn, s http.ConnState) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	switch s {
	case http.StateNew:
		if !w.enter(c) {
			_ = c.Close()
		}
	case http.StateHijacked, http.StateClosed:
		w.leave(c)
	}
}

func (w *waiting) enter(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.keys)+int(w.taken()) >= w.ceiling {
		return false
	}
	key := access.Key(0)
	if addr, ok := w.address(c); ok && w.perIP != nil {
		if key, ok = w.perIP.Acquire(addr); !ok {
			return false
		}
	}
	w.keys[c] = key
	return true
}

func (w *waiting) leave(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if key, ok := w.keys[c]; ok {
		delete(w.keys, c)
		if w.perIP != nil {
			w.perIP.Release(key)
		}
	}
}

// identify counts a connection, which has entered as its proxy's, as one of the
// client that the proxy names. It is false if that has too many, or has gone.
func (w *waiting) identify(c net.Conn, client netip.Addr) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.keys[c]; !ok {
		return false
	}
	if w.perIP == nil || isTrusted(w.trusted, client) {
		return true
	}
	key, ok := w.perIP.Acquire(client)
	if ok {
		w.keys[c] = key
	}
	return ok
}

// address returns the peer's address, unless that is a proxy, which speaks for
// many. It does not wait: the server accepts nobody else meanwhile.
func (w *waiting) address(c net.Conn) (netip.Addr, bool) {
	peer := c.RemoteAddr
	if client, ok := c.(*clientConn); ok {
		peer = client.peer
	}
	addr := addrOf(peer())
	return addr, addr.IsValid() && !isTrusted(w.trusted, addr)
}
