package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
	"github.com/sse-gateway/sse-gateway/gateway"
	"github.com/sse-gateway/sse-gateway/gateway/listener"
)

// listenOn opens a listener. variable is what its address comes from.
func listenOn(variable, addr string) (net.Listener, error) {
	l, err := listener.Listen(addr)
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

// guard puts package listener between the public port and its server. handler is
// what both have requests answered by: g, or something around it.
func guard(cfg *config.Config, gc gateway.Config, g *gateway.Gateway, handler http.Handler, public net.Listener, server *http.Server) *listener.Listener {
	l := listener.New(public, listener.Config{
		TrustedProxies: gc.TrustedProxies, ProxyProtocol: cfg.ProxyProtocol,
		MaxFDs: listener.MaxFDs(), MaxPerIP: cfg.MaxConnectionsPerIP, Hijacked: g.Hijacked,
		Throttled: gc.Metrics.ConnectionsThrottled, Log: gc.Log,
		Handler: handler, IsStream: g.IsStream, TLS: server.TLSConfig != nil,
	})
	server.Handler = l.Handler(handler)
	server.ConnState = l.ConnState
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return l.ConnContext(gateway.WithConn(ctx, c), c)
	}
	return l
}
