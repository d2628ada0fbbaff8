package deploy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/deploy/proxytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

const haproxyConfig = "haproxy/haproxy.cfg"

func TestHAProxyConfig(t *testing.T) {
	env := []string{"SSE_LB_BIND=:8080", "SSE_LB_METRICS_BIND=:8404", "SSE_LB_IDLE_TIMEOUT=60s"}
	for _, n := range []string{"1", "2", "3"} {
		env = append(env, "SSE_GATEWAY_"+n+"=127.0.0.1:8080", "SSE_GATEWAY_"+n+"_ADMIN=9090")
	}
	out := check(t, env, redistest.Command(t, "haproxy", "haproxy"), "-c", "-f", haproxyConfig)
	if strings.Contains(out, "WARNING") {
		t.Errorf("haproxy warns:\n%s", out)
	}
}

// A gateway that drains gets no new streams once the health checks have told (how soon
// that is stands in haproxy.cfg), while those it has go on; and is back when it is ready.
func TestHAProxyTakesDrainingOut(t *testing.T) {
	t.Parallel()
	stubs := startStubs(t, 0)
	lb := proxytest.HAProxy(t, time.Minute, gatewaysOf(stubs)...)

	// leastconn: one stream on each.
	var kept *stream
	for range stubs {
		if s, name := subscribe(t, lb.HTTP1, 1); name == "gateway-1" {
			kept = s
		}
	}
	if kept == nil {
		t.Fatal("three streams, and none on gateway-1")
	}

	stubs[0].notReady.Store(true)
	// As long as it is in the pool, leastconn chooses it when it has the fewest.
	redistest.Eventually(t, patience, "gateway-1 is out of the pool", func() bool {
		hasFewest := stubs[0].open() < min(stubs[1].open(), stubs[2].open())
		_, name := subscribe(t, lb.HTTP1, 1)
		return hasFewest && name != "gateway-1"
	})
	stubs[0].publish("still here")
	if got := kept.next(t); got != "still here" {
		t.Errorf("the stream of the draining gateway got %q", got)
	}

	stubs[0].notReady.Store(false)
	redistest.Eventually(t, patience, "gateway-1 is back", func() bool {
		_, name := subscribe(t, lb.HTTP1, 1)
		return name == "gateway-1"
	})
}

func TestHAProxyMetrics(t *testing.T) {
	t.Parallel()
	lb := proxytest.HAProxy(t, time.Minute, gatewaysOf(startStubs(t, 0))...)
	for path, want := range map[string]string{"/metrics": `haproxy_server_status{proxy="gateways",server="gateway-1"`, "/healthz": "200 OK"} {
		res, err := http.Get(lb.Metrics + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s, %v, without %s", path, res.Status, err, want)
		}
	}
}
