package main

import (
	"net/http"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// Connections, deliveries, gaps and latency are told apart by the namespaces that
// are listed, and add up.
func TestMetricNamespaces(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_METRIC_NAMESPACES=chat,orders")...)
	p.awaitReady()
	both := subscribe(t, transport(t, 1, nil), p.eventsURL("channel=chat:1&channel=orders:1&channel=news")).ready(t)
	one := subscribe(t, transport(t, 2, nil), p.eventsURL("channel=chat:1")).ready(t)
	other := subscribe(t, transport(t, 1, nil), p.eventsURL("channel=news&last_event_id=nonsense"))
	other.nextNamed(t, "gateway.gap")
	for channel, times := range map[string]int{"chat:1": 3, "orders:1": 2, "news": 1} {
		for range times {
			r.XAdd("sse:"+channel, "data", "x")
		}
	}
	const connections, deliveries, gaps, latency = "sse_gateway_connections", "sse_gateway_deliveries_total", "sse_gateway_gaps_total", "sse_gateway_delivery_latency_seconds_count"
	for namespace, want := range map[string]struct{ connections, deliveries, gaps float64 }{
		"chat": {2, 6, 0}, "orders": {0, 2, 0}, "other": {1, 2, 1},
	} {
		p.awaitMetric(patience, want.deliveries, deliveries, namespace)
		p.awaitMetric(patience, want.deliveries, latency, namespace)
		p.awaitMetric(patience, want.connections, connections, namespace)
		p.awaitMetric(patience, want.gaps, gaps, namespace+`",reason="unknown_id`)
	}
	// A poll counts its events where their channels do.
	if status, body := fetch(t, p.eventsURL("channel=chat:1&channel=news&replay=all"), http.Header{"Accept": {"application/json"}}); status != http.StatusOK {
		t.Errorf("a poll is answered %d %s", status, body)
	}
	p.awaitMetric(patience, 9, deliveries, "chat")
	p.awaitMetric(patience, 3, deliveries, "other")
	for _, c := range []*client{both, one, other} {
		c.close()
	}
	for _, namespace := range []string{"chat", "orders", "other"} {
		p.awaitMetric(patience, 0, connections, namespace)
	}
}
