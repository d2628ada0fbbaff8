package main

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// faultEnv has heartbeats that are frequent enough to be seen.
func faultEnv(url string) []string { return gatewayEnv(url, "SSE_HEARTBEAT=300ms") }

// requireStalled checks what a client and an operator see while Redis is away.
func requireStalled(t *testing.T, p *gatewayProcess, clients ...*client) {
	t.Helper()
	for _, c := range clients {
		if e := c.next(t); e.name != "gateway.stalled" || e.id != "" || !strings.Contains(e.data, `"since":"`) {
			t.Fatalf("got %+v, want gateway.stalled without id", e)
		}
	}
	status, reason := p.ready()
	if status != http.StatusServiceUnavailable || reason == "" || reason == "draining" {
		t.Errorf("/readyz answers %d, reason %q", status, reason)
	}
	p.awaitMetric(patience, 0, "sse_gateway_tail_up")
	for _, c := range clients {
		seen := c.comments.Load()
		redistest.Eventually(t, patience, "heartbeats go on", func() bool { return c.comments.Load() > seen+1 })
		if !c.isOpen() {
			t.Error("the stream has ended")
		}
	}
}

// requireLive checks the same once Redis is back.
func requireLive(t *testing.T, p *gatewayProcess, clients ...*client) {
	t.Helper()
	for _, c := range clients {
		if e := c.nextUnless(t, "gateway.stalled"); e.name != "gateway.live" || e.id != "" {
			t.Fatalf("got %+v, want gateway.live without id", e)
		}
	}
	p.awaitReady()
	p.awaitMetric(patience, 1, "sse_gateway_tail_up")
}

// nextUnless skips one event of this name.
func (c *client) nextUnless(t *testing.T, name string) event {
	t.Helper()
	if e := c.next(t); e.name != name {
		return e
	}
	return c.next(t)
}

// bothVersions opens a stream over each version of HTTP.
func bothVersions(t *testing.T, p *gatewayProcess, query string) []*client {
	t.Helper()
	return []*client{
		subscribe(t, transport(t, 1, nil), p.eventsURL(query)).ready(t),
		subscribe(t, transport(t, 2, nil), p.eventsURL(query)).ready(t),
	}
}

func TestRedisFrozen(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, faultEnv(r.URL())...)
	p.awaitReady()
	clients := bothVersions(t, p, "channel=a&channel=b")
	r.XAdd("sse:a", "data", "before")
	for _, c := range clients {
		c.requireData(t, "before")
	}
	r.Pause()
	requireStalled(t, p, clients...)
	requirePassingRefusal(t, transport(t, 1, nil), p.eventsURL("channel=new"))
	r.Resume()
	requireLive(t, p, clients...)
	r.XAdd("sse:b", "data", "after")
	for _, c := range clients {
		c.requireData(t, "after")
	}
}

func TestRedisKilledAndRestarted(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, redistest.WithAOF())
	p := startGateway(t, faultEnv(r.URL())...)
	p.awaitReady()
	clients := bothVersions(t, p, "channel=a")
	var ids []string
	for i := range 10 {
		ids = append(ids, r.XAdd("sse:a", "data", numbered(i, 10)))
	}
	for _, c := range clients {
		for i := range ids {
			if e := requireNumbered(t, c, i); e.id != ids[i] {
				t.Errorf("event %d has id %s, want %s", i, e.id, ids[i])
			}
		}
	}
	r.Kill()
	requireStalled(t, p, clients...)
	r.Restart()
	// At once, before the gateway is back.
	for i := 10; i < 20; i++ {
		r.XAdd("sse:a", "data", numbered(i, 10))
	}
	requireLive(t, p, clients...)
	for _, c := range clients {
		for i := 10; i < 20; i++ {
			requireNumbered(t, c, i)
		}
	}
	if v := p.metric("sse_gateway_tail_sessions_total"); v < 2 {
		t.Errorf("%v tail sessions, want a second", v)
	}
}

// A short absence is nobody's business.
func TestRedisRestartedAtOnce(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, redistest.WithAOF())
	p := startGateway(t, faultEnv(r.URL())...)
	clients := bothVersions(t, p, "channel=a")
	began := time.Now()
	for round := range 3 {
		r.XAdd("sse:a", "data", strconv.Itoa(round))
		r.Kill()
		r.Restart()
	}
	for _, c := range clients {
		for round := range 3 {
			e := c.next(t)
			// A slow machine may make it a long absence.
			for time.Since(began) > store.StalledAfter && (e.name == "gateway.stalled" || e.name == "gateway.live") {
				e = c.next(t)
			}
			if e.data != strconv.Itoa(round) {
				t.Fatalf("got %+v, want data %d", e, round)
			}
		}
	}
}

// A Redis that comes back without its data says so to the client.
func TestRedisComesBackEmpty(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, faultEnv(r.URL())...)
	clients := bothVersions(t, p, "channel=a")
	last := r.XAdd("sse:a", "data", "lost later")
	for _, c := range clients {
		c.requireData(t, "lost later")
	}
	r.Kill()
	r.Restart()
	r.Do("XADD", "sse:a", "5-1", "data", "lower id")
	for _, c := range clients {
		e := c.next(t)
		if e.name != "gateway.gap" || !strings.Contains(e.data, `"reason":"reset"`) || !strings.Contains(e.data, last) || e.id == "" {
			t.Errorf("got %+v, want a reset after %s", e, last)
		}
		if e := c.requireData(t, "lower id"); e.id != "5-1" {
			t.Errorf("id %s, want 5-1", e.id)
		}
	}
}

func TestNetworkToRedis(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct{ breaks, mends func(*redistest.Proxy) }{
		"cut":       {(*redistest.Proxy).Cut, (*redistest.Proxy).Restore},
		"half-open": {(*redistest.Proxy).Blackhole, (*redistest.Proxy).Clear},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := redistest.Start(t)
			proxy := redistest.StartProxy(t, r.Addr())
			p := startGateway(t, faultEnv(r.URLAt(proxy.Addr()))...)
			p.awaitReady()
			clients := bothVersions(t, p, "channel=a")
			fault.breaks(proxy)
			for i := range 300 { // more than the window holds
				r.XAdd("sse:a", "data", numbered(i, 10))
			}
			requireStalled(t, p, clients...)
			fault.mends(proxy)
			requireLive(t, p, clients...)
			for _, c := range clients {
				for i := range 300 {
					requireNumbered(t, c, i)
				}
			}
		})
	}
}

// The process starts without Redis, says so, and serves when it comes.
func TestRedisDownAtStart(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	r.Kill()
	p := startGateway(t, faultEnv(r.URL())...)
	if status, reason := p.ready(); status != http.StatusServiceUnavailable || reason == "" {
		t.Errorf("/readyz answers %d, reason %q", status, reason)
	}
	if status, _ := fetch(t, "http://"+p.admin+"/healthz", nil); status != http.StatusOK {
		t.Errorf("/healthz answers %d", status)
	}
	if v := p.metric("sse_gateway_tail_up"); v != 0 {
		t.Errorf("sse_gateway_tail_up is %v", v)
	}
	for version := 1; version <= 2; version++ {
		requirePassingRefusal(t, transport(t, version, nil), p.eventsURL("channel=a"))
	}
	if v := p.metric("sse_gateway_refusals_total", "redis_unavailable"); v != 4 {
		t.Errorf("%v refusals counted, want 4", v)
	}
	r.Restart()
	p.awaitReady()
	clients := bothVersions(t, p, "channel=a")
	r.XAdd("sse:a", "data", "now")
	for _, c := range clients {
		c.requireData(t, "now")
	}
	if !p.alive() {
		t.Error("the process has ended")
	}
}

// What an operator has to change is in the log and in the metrics.
func TestRedisRefuses(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, redistest.WithPassword("right"))
	for name, tt := range map[string]struct{ url, logged, kind string }{
		"wrong password": {r.URLAs("default", "wrong"), "WRONGPASS", "denied"},
		"nobody there":   {"redis://127.0.0.1:1", "connection refused", "unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startGateway(t, gatewayEnv(tt.url)...)
			redistest.Eventually(t, patience, "the error is counted as "+tt.kind, func() bool {
				return p.metric("sse_gateway_redis_errors_total", tt.kind) > 0
			})
			if !strings.Contains(p.err.String(), tt.logged) {
				t.Errorf("the log says nothing of %s", tt.logged)
			}
		})
	}
}
