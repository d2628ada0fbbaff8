package gateway

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sse-gateway/sse-gateway/gateway/listener"
)

// guard puts package listener before a server, as cmd/sse-gateway does. With netHTTP
// it accepts as on a system without a reactor: net/http has every connection.
func guard(l net.Listener, g *Gateway, s *http.Server, log *slog.Logger, netHTTP bool) net.Listener {
	guarded := listener.New(l, listener.Config{
		MaxFDs: 1 << 20, Hijacked: g.Hijacked, Throttled: prometheus.NewCounter(prometheus.CounterOpts{Name: "throttled"}), Log: log,
		Handler: g.Handler(), IsStream: g.IsStream, Portable: netHTTP,
	})
	s.Handler, s.ConnState = guarded.Handler(g.Handler()), guarded.ConnState
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return guarded.ConnContext(WithConn(ctx, c), c)
	}
	return guarded
}

// wayInVariable is "net/http" if all tests are to leave every connection to net/http, as
// `make test-net-http` has them.
const wayInVariable = "SSE_TEST_WAY_IN"

// isNetHTTP reports whether the rigs of a test leave every connection to net/http: those
// of TestNetHTTP always do.
func isNetHTTP(t testing.TB) bool {
	return os.Getenv(wayInVariable) == "net/http" || strings.HasPrefix(t.Name(), "TestNetHTTP/")
}

// TestNetHTTP holds both ways in to the same promises: it runs the tests of how a
// connection comes, what is asked over it, and how it ends a second time, with net/http
// alone. What a stream says in between is the engine's, whoever accepted it.
func TestNetHTTP(t *testing.T) { // not parallel, because of TestNothingIsLeftOfClients
	for name, test := range map[string]func(*testing.T){
		"StreamBegins": TestStreamBegins, "Problems": TestProblems, "Head": TestHead, "Path": TestPath, "Tokens": TestTokens, "CORS": TestCORS,
		"HostileRequests": TestHostileRequests, "PipelinedRequests": TestPipelinedRequests, "ChattyClients": TestChattyClients,
		"HTTP2Floods": TestHTTP2Floods, "SlowHeaders": TestSlowHeaders, "SlowHTTPTest": TestSlowHTTPTest,
		"ResumeOneChannel": TestResumeOneChannel, "EndOfChannel": TestEndOfChannel, "DeliveryBytes": TestDeliveryBytes, "LongPoll": TestLongPoll,
		"ClientsLeave": TestClientsLeave, "ClientsLeaveRudely": TestClientsLeaveRudely, "NothingIsLeftOfClients": TestNothingIsLeftOfClients,
		"StreamOfASlowClientEndsWithItsToken": TestStreamOfASlowClientEndsWithItsToken,
		"MaxConnections":                      TestMaxConnections, "MaxConnectionsPerIP": TestMaxConnectionsPerIP, "RefusedWhileDraining": TestRefusedWhileDraining,
		"RefusalKeepsTheHTTP2Connection": TestRefusalKeepsTheHTTP2Connection, "DrainTellsClientsToComeBack": TestDrainTellsClientsToComeBack,
		"StopWhileStreamsOpen": TestStopWhileStreamsOpen, "Seeds": testSeeds,
	} {
		t.Run(name, test)
	}
}
