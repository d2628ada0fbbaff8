package listener

import (
	"context"
	"net"
	"syscall"
	"time"
)

// Listen opens a TCP listener. Keep-alive probes end a connection whose host has been
// silent for about peerTimeout, unless something is on its way to it. Whoever writes
// must look whether the peer takes it. The error is that of
// net.ListenConfig.Listen.
func Listen(addr string, peerTimeout time.Duration) (net.Listener, error) {
	keepAlive := net.KeepAliveConfig{
		Enable:   true,
		Idle:     min(max(peerTimeout/2, time.Second), 15*time.Second),
		Interval: min(max(peerTimeout/6, time.Second), 10*time.Second),
		Count:    3,
	}
	lc := net.ListenConfig{
		// Accepted connections inherit what is set on the listener. Package net sets
		// keepAlive on those that it accepts.
		Control:         func(_, _ string, c syscall.RawConn) error { return setSocketOptions(c, keepAlive) },
		KeepAliveConfig: keepAlive,
	}
	// Connections of a listener of Multipath TCP, which is Go's default, do not inherit
	// all options.
	lc.SetMultipathTCP(false)
	return lc.Listen(context.Background(), "tcp", addr)
}
