package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// A proxy of the environment does not get the cookies of clients. The application's
// address is LOCALHOST because Go asks no proxy for localhost.
func TestForwardAuthenticationAsksNoProxy(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer app.Close()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the proxy was asked for %s", r.URL)
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	_, port, _ := strings.Cut(app.Listener.Addr().String(), ":")
	p := startGateway(t, gatewayEnv(redistest.Start(t).URL(), "SSE_PUBLIC_CHANNELS=", "SSE_AUTH_URL=http://LOCALHOST:"+port, "HTTP_PROXY="+proxy.URL)...)
	p.awaitReady()
	status, body := fetch(t, p.eventsURL("channel=a"), http.Header{"Accept": {"application/json"}})
	if status != http.StatusOK || asked.Load() != 1 {
		t.Errorf("the client is answered %d %s, the application was asked %d times", status, body, asked.Load())
	}
}
