package main

import (
	"bufio"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"
)

const (
	// proxyHeaderTimeout is how long a proxy may take for its header, which is
	// the first thing that it sends.
	proxyHeaderTimeout = 5 * time.Second
	// proxyHeaderBuffer holds the longest header of version 1 (107 bytes) and
	// an ordinary one of version 2; longer ones take several reads.
	proxyHeaderBuffer = 256
)

// proxyHeader is the header of the PROXY protocol, version 1 or 2, that a
// connection begins with.
type proxyHeader struct {
	once sync.Once
	err  error
	from net.Addr // nil: the proxy speaks for itself

	buffered *bufio.Reader // what was read behind the header; nil once that is used
}

func newProxyHeader(c *net.TCPConn) *proxyHeader {
	return &proxyHeader{buffered: bufio.NewReaderSize(c, proxyHeaderBuffer)}
}

// source returns the address that the header names, or nil. The first call
// reads it: that is net/http's, in the connection's own goroutine and before it
// sets deadlines of its own.
func (h *proxyHeader) source(c *clientConn) net.Addr {
	h.once.Do(func() {
		if h.err = h.receive(c); h.err != nil {
			c.listener.log.Debug("a connection was closed", "error", h.err)
			_ = c.Close() // there is nobody to answer
		}
	})
	return h.from
}

func (h *proxyHeader) receive(c *clientConn) error {
	header, err := proxyproto.ReadHeaderTimeout(c.TCPConn, h.buffered, proxyHeaderTimeout)
	if err != nil {
		return fmt.Errorf("no PROXY header from %v, who is in SSE_TRUSTED_PROXIES and has to send one: %w", c.peer(), err)
	}
	if header.Command.IsLocal() {
		return nil // a health check
	}
	from, _, ok := header.TCPAddrs()
	if !ok {
		return nil // a family of addresses that the proxy could not say
	}
	addr := addrOf(from)
	c.exempt = isTrusted(c.listener.trusted, addr)
	if !c.listener.waiting.identify(c, addr) {
		return fmt.Errorf("too many connections of %v that are no streams yet", addr)
	}
	h.from = from
	return nil
}

// read returns what was read behind the header, and 0 once there is nothing
// left of that.
func (h *proxyHeader) read(c *clientConn, p []byte) (int, error) {
	h.source(c)
	if h.err != nil {
		return 0, h.err
	}
	if h.buffered == nil || h.buffered.Buffered() == 0 {
		h.buffered = nil
		return 0, nil
	}
	return h.buffered.Read(p)
}
