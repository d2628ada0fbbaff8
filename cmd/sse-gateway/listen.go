package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"
)

// listen opens a listener. A client whose host is silent for that long is gone,
// whether something was sent to it, which is then not acknowledged, or not,
// which is what keep-alive probes are for. variable is what the address comes
// from.
func listen(variable, addr string, silence time.Duration) (net.Listener, error) {
	lc := net.ListenConfig{
		// Accepted connections inherit what is set on the listener.
		Control: func(_, _ string, c syscall.RawConn) error { return setSocketOptions(c, silence) },
		KeepAliveConfig: net.KeepAliveConfig{
			Enable:   true,
			Idle:     min(max(silence/2, time.Second), 15*time.Second),
			Interval: min(max(silence/6, time.Second), 10*time.Second),
			Count:    3,
		},
	}
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, usageError{fmt.Errorf("%s=%q: the port is taken; stop what listens there or set %s to another address, such as %s",
			variable, addr, variable, otherPort(addr))}
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("%s=%q: %w; accepted is host:port or :port", variable, addr, err)}
	}
	return l, nil
}

// otherPort is an address to propose instead of one that is taken.
func otherPort(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ":8081"
	}
	if n, err := net.LookupPort("tcp", port); err == nil && n < 65535 {
		port = strconv.Itoa(n + 1)
	}
	return net.JoinHostPort(host, port)
}
