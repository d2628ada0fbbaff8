package gateway

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sse-gateway/sse-gateway/gateway/listener"
)

// wayInVariable names the way in that the tests of this package use: empty is that of
// cmd/sse-gateway on this system, and "net/http" is net/http alone.
const wayInVariable = "SSE_TEST_WAY_IN"

// guard puts package listener before a server, as cmd/sse-gateway does.
func guard(t testing.TB, l net.Listener, g *Gateway, s *http.Server, log *slog.Logger) net.Listener {
	t.Helper()
	guarded := listener.New(l, listener.Config{
		MaxFDs: 1 << 20, Hijacked: g.Hijacked, Throttled: prometheus.NewCounter(prometheus.CounterOpts{Name: "throttled"}), Log: log,
		Handler: g.Handler(), IsStream: g.IsStream, Portable: os.Getenv(wayInVariable) == "net/http",
	})
	s.Handler, s.ConnState = guarded.Handler(g.Handler()), guarded.ConnState
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return guarded.ConnContext(WithConn(ctx, c), c)
	}
	return guarded
}
