package listener

import (
	"context"
	"net"
	"syscall"
)

// Listen opens a TCP listener. The error is that of net.ListenConfig.Listen.
//
// The connections have no keep-alive probes. A heartbeat tells as well whether a
// client's host is there, and the kernel sends the probes of connections that are due
// at about the same time in one burst: of a million idle streams on one machine, such
// bursts overflowed the queue of the network device again and again, and connections
// of healthy clients were ended because three probes in a row were dropped.
func Listen(addr string) (net.Listener, error) {
	lc := net.ListenConfig{
		// Accepted connections inherit what is set on the listener.
		Control:   func(_, _ string, c syscall.RawConn) error { return setSocketOptions(c) },
		KeepAlive: -1,
	}
	// Connections of a listener of Multipath TCP, which is Go's default, do not inherit
	// all options.
	lc.SetMultipathTCP(false)
	return lc.Listen(context.Background(), "tcp", addr)
}
