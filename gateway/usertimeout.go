package gateway

import (
	"context"
	"net"
	"sync"
)

// heldTimeout is a connection's TCP_USER_TIMEOUT, which is off while a write
// waits; see userTimeout. Its methods may be called concurrently.
type heldTimeout struct {
	conn net.Conn

	// mu guards off, and that the connection is as it says.
	mu  sync.Mutex
	off int // what it was before it was taken off, in ms; 0: it is not off
}

// hold takes it off.
func (h *heldTimeout) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if was, ok := userTimeout(h.conn, 0); ok && was > 0 {
		h.off = was
	}
}

// restore puts it back, once the client has everything.
func (h *heldTimeout) restore() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.off == 0 {
		return
	}
	if waiting, ok := unacknowledged(h.conn); ok && waiting == 0 {
		_, _ = userTimeout(h.conn, h.off)
		h.off = 0
	}
}

// isOff reports whether it is off.
func (h *heldTimeout) isOff() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.off > 0
}

type connKey struct{}

// WithConn is the ConnContext of an http.Server: without it a client of HTTP/2
// that is only slow may be taken for one that has gone.
func WithConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, &heldTimeout{conn: c})
}

// connOf returns the connection of a request, which other streams share over
// HTTP/2; one that does nothing if it is not known.
func connOf(ctx context.Context) *heldTimeout {
	if h, ok := ctx.Value(connKey{}).(*heldTimeout); ok {
		return h
	}
	return &heldTimeout{}
}

// close ends the connection and so everything on it.
func (h *heldTimeout) close() {
	if h.conn != nil {
		_ = h.conn.Close()
	}
}
