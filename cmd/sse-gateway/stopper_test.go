package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// stopper is a network under a client that can be told not to read for a while.
type stopper struct {
	mu      sync.Mutex
	cond    *sync.Cond
	stopped bool       // guarded by mu
	conns   []net.Conn // guarded by mu
}

// stop ends reading: what is sent from now on stays in the kernel's buffers,
// and when they are full, with the sender.
func (s *stopper) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

// resume goes on reading.
func (s *stopper) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = false
	s.cond.Broadcast()
}

// receiveBuffer is small, so that little is enough to fill it, in bytes.
const receiveBuffer = 8 << 10

// stoppableTransport is transport for clients that can be stopped; it uses
// config if it is not nil.
func stoppableTransport(t *testing.T, version int) (*http.Transport, *stopper) {
	s := &stopper{}
	s.cond = sync.NewCond(&s.mu)
	tr := transport(t, version, nil)
	dialer := redistest.SmallDialer(receiveBuffer)
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.conns = append(s.conns, c)
		return &stoppableConn{Conn: c, s: s, closed: make(chan struct{})}, nil
	}
	t.Cleanup(s.resume)
	return tr, s
}

type stoppableConn struct {
	net.Conn
	s      *stopper
	closed chan struct{}
}

// Read waits before it reads and after, so that nothing passes once stop was
// called. A Close ends it.
func (c *stoppableConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for c.s.stopped {
		select {
		case <-c.closed:
			return 0, net.ErrClosed
		default:
		}
		c.s.cond.Wait()
	}
	return n, err
}

func (c *stoppableConn) Close() error {
	c.s.mu.Lock()
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	c.s.cond.Broadcast()
	c.s.mu.Unlock()
	return c.Conn.Close()
}
