package listener

import (
	"context"
	"net"
	"syscall"
	"time"
)

// Listen opens a TCP listener. A client whose host is silent for peerTimeout is
// gone, whether something was sent to it, which is then not acknowledged, or
// not, which is what keep-alive probes are for. The error is that of
// net.ListenConfig.Listen.
func Listen(addr string, peerTimeout time.Duration) (net.Listener, error) {
	lc := net.ListenConfig{
		// Accepted connections inherit what is set on the listener.
		Control: func(_, _ string, c syscall.RawConn) error { return setSocketOptions(c, peerTimeout) },
		KeepAliveConfig: net.KeepAliveConfig{
			Enable:   true,
			Idle:     min(max(peerTimeout/2, time.Second), 15*time.Second),
			Interval: min(max(peerTimeout/6, time.Second), 10*time.Second),
			Count:    3,
		},
	}
	return lc.Listen(context.Background(), "tcp", addr)
}
