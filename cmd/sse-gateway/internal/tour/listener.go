package tour

import (
	"net"
	"sync"
)

// Listener is a TCP listener whose connections can be reset all at once. Its methods
// may be called concurrently.
type Listener struct {
	net.Listener

	// mu guards the connections that are open.
	mu    sync.Mutex
	conns map[*resettableConn]struct{}
}

// Listen listens on a free port of loopback.
func Listen() (*Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	return &Listener{Listener: l, conns: make(map[*resettableConn]struct{})}, err
}

// resettableConn hides the TCP connection, which the gateway would park otherwise.
type resettableConn struct {
	net.Conn
	listener *Listener
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &resettableConn{nc, l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
	return c, nil
}

// Close implements net.Conn.
func (c *resettableConn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// Reset closes the listener and resets its connections, as the system does for a
// process that is killed.
func (l *Listener) Reset() {
	_ = l.Listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset rather than an end
		}
		_ = c.Conn.Close()
	}
}
