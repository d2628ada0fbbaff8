package main

import (
	"os/exec"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestMaxConnectionAge(t *testing.T) {
	t.Parallel()
	const age = 2 * time.Second
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_MAX_CONNECTION_AGE="+age.String(), "SSE_RETRY=1s")...)
	http1, http2 := transport(t, 1, nil), transport(t, 2, nil)
	var clients []*client
	var asked []time.Time
	for i := range 20 {
		rt := http1
		if i%2 == 1 {
			rt = http2
		}
		asked = append(asked, time.Now())
		clients = append(clients, subscribe(t, rt, p.eventsURL("channel=a")).ready(t))
	}
	ages := map[time.Duration]bool{}
	for i, c := range clients {
		// However late this machine is, none ends before its time.
		d := c.awaitEnd(t, patience).Sub(asked[i])
		ages[d.Round(50*time.Millisecond)] = true
		if least := age * 8 / 10; d < least {
			t.Errorf("a stream lived for %v, want %v at least", d, least)
		}
	}
	if len(ages) < 4 {
		t.Errorf("all streams lived for about the same time: %v", ages)
	}
	requireFarewells(t, clients)
	p.awaitMetric(patience, 20, "sse_gateway_disconnects_total", "max_age")
	// Nothing is lost by it.
	r.XAdd("sse:a", "data", "meanwhile")
	subscribe(t, http1, p.eventsURL("channel=a"), "Last-Event-ID", clients[0].position()).ready(t).requireData(t, "meanwhile")
}

func TestMaxConnections(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_MAX_CONNECTIONS=2", "SSE_MAX_CONNECTIONS_PER_IP=5")...)
	p.awaitReady()
	tr, h2 := transport(t, 1, nil), transport(t, 2, nil)
	first := subscribe(t, tr, p.eventsURL("channel=a")).ready(t)
	subscribe(t, h2, p.eventsURL("channel=a")).ready(t)
	requirePassingRefusal(t, tr, p.eventsURL("channel=a"))
	requirePassingRefusal(t, h2, p.eventsURL("channel=a"))
	if n := p.metric("sse_gateway_refusals_total", "max_connections"); n != 4 {
		t.Errorf("%v refusals counted, want 4", n)
	}
	if n := p.metric("sse_gateway_connections_max"); n != 2 {
		t.Errorf("sse_gateway_connections_max is %v", n)
	}
	if status, _ := p.ready(); status != 200 {
		t.Errorf("a full replica is not ready: %d", status)
	}
	first.close()
	p.awaitMetric(patience, 1, "sse_gateway_connections")
	subscribe(t, tr, p.eventsURL("channel=a")).ready(t)
}

func TestMaxConnectionsPerIP(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_MAX_CONNECTIONS_PER_IP=2", "SSE_TRUSTED_PROXIES=127.0.0.1")...)
	tr := transport(t, 1, nil)
	for range 2 {
		subscribe(t, tr, p.eventsURL("channel=a"), "X-Forwarded-For", "192.0.2.1").ready(t)
	}
	c := subscribe(t, tr, p.eventsURL("channel=a"), "X-Forwarded-For", "192.0.2.1")
	c.awaitEnd(t, patience)
	if n := p.metric("sse_gateway_refusals_total", "max_connections_per_ip"); n != 1 {
		t.Errorf("%v refusals counted, want 1", n)
	}
	subscribe(t, tr, p.eventsURL("channel=a"), "X-Forwarded-For", "192.0.2.2").ready(t)
}

// reservedFiles is how many of few open files are not for clients; see
// listener.ConnectionLimit.
const reservedFiles = 64

// Without SSE_MAX_CONNECTIONS the limit of open files decides, and when it is
// reached the replica still answers, reads Redis and is ready.
func TestMaxConnectionsFromFileLimit(t *testing.T) {
	t.Parallel()
	const files, limit = 200, 200 - reservedFiles
	r := redistest.Start(t)
	p := startGatewayCommand(t, exec.Command("sh", "-c", `ulimit -n 200 && exec "$0"`, gatewayBinary), gatewayEnv(r.URL())...)
	if n := p.metric("sse_gateway_connections_max"); n != limit {
		t.Errorf("with %d files there is room for %v connections, want %d", files, n, limit)
	}
	tr := transport(t, 1, nil)
	var clients []*client
	for range limit {
		clients = append(clients, subscribe(t, tr, p.eventsURL("channel=a")).ready(t))
	}
	for range 10 {
		requirePassingRefusal(t, tr, p.eventsURL("channel=a"))
	}
	r.KillClients(func(map[string]string) bool { return true })
	r.XAdd("sse:a", "data", "to all")
	for _, c := range clients {
		c.requireData(t, "to all")
	}
	p.awaitReady()
}
