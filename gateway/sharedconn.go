package gateway

import (
	"context"
	"net"
	"sync"
)

// sharedConn is a connection of HTTP/2, which its streams share. Its methods may
// be called concurrently, and do nothing if it is nil.
type sharedConn struct {
	conn net.Conn

	// mu guards off, and that the connection is as it says.
	mu  sync.Mutex
	off int // the TCP_USER_TIMEOUT that is off because of a slow write, in ms
}

type connKey struct{}

// WithConn is the ConnContext of an http.Server: without it a client of HTTP/2
// that is only slow may be taken for one that has gone.
func WithConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, &sharedConn{conn: c})
}

// hold takes the TCP_USER_TIMEOUT off while a write waits; see userTimeout. A host
// that vanishes meanwhile is missed when it does not answer a PING.
func (c *sharedConn) hold() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if was, ok := userTimeout(c.conn, 0); ok && was > 0 {
		c.off = was
	}
}

// restore puts it back, once the client has everything.
func (c *sharedConn) restore() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	restoreUserTimeout(c.conn, &c.off)
}
