package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// body waits for the end of a response and returns all of it.
func (c *client) body() string {
	c.t.Helper()
	c.end()
	return string(c.raw)
}

// checkProblem says that an answer is a problem, and returns its detail.
func checkProblem(t *testing.T, c *client, status int) (detail string) {
	t.Helper()
	text := c.body()
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		t.Fatalf("%s with %q: %v", c.resp.Status, text, err)
	}
	h := c.resp.Header
	if c.resp.StatusCode != status || p.Status != status || p.Title != http.StatusText(status) || p.Type != "about:blank" || p.Detail == "" ||
		h.Get("Content-Type") != "application/problem+json" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s, %v, %+v, want %d", c.resp.Status, h, p, status)
	}
	return p.Detail
}

func TestProblems(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.redis.Do("SET", key("text"), "x")
	r.redis.Do("RPUSH", key("list"), "x")
	for _, tc := range []struct {
		method, path string
		status       int
		want, reason string
	}{
		{"GET", "/", 404, "/events", ""},
		{"GET", "/event", 404, "/events", ""},
		{"GET", "/events/", 400, "no channel", "bad_request"}, // the same path
		{"GET", "/events//", 404, "/events", ""},
		{"GET", "/events/a", 404, "/events", ""},
		{"GET", "//events", 404, "/events", ""},
		{"GET", "/EVENTS?channel=a", 404, "/events", ""},
		{"GET", "/metrics", 404, "/events", ""},
		{"GET", "/healthz", 404, "/events", ""},
		{"GET", "/readyz", 404, "/events", ""},
		{"GET", "/debug/pprof/", 404, "/events", ""},
		{"GET", "/..//debug/pprof/", 404, "/events", ""},
		{"POST", "/", 404, "/events", ""},
		{"POST", "/events?channel=a", 405, "GET", ""},
		{"PUT", "/events?channel=a", 405, "GET", ""},
		{"DELETE", "/events", 405, "GET", ""},
		{"OPTIONS", "/events?channel=a", 405, "GET", ""},
		{"QUERY", "/events?channel=a", 405, "GET", ""},
		{"GET", "/events", 400, "no channel", "bad_request"},
		{"GET", "/events?channel=a,b", 400, `"a,b"`, "bad_request"},
		{"GET", "/events?channel=" + strings.Repeat("x", 201), 400, "1 to 200", "bad_request"},
		{"GET", "/events?channel=a&since=junk", 400, `"junk"`, "bad_request"},
		{"GET", "/events?channel=a&replay=junk", 400, `"junk"`, "bad_request"},
		{"GET", "/events?channel=a&envelope=junk", 400, `"junk"`, "bad_request"},
		{"GET", "/events?channel=a%00", 400, `"a\x00"`, "bad_request"},
		{"GET", "/events?channel=%", 400, "malformed", "bad_request"},
		{"GET", "/events?channel=text", 409, `channel "text": its key in Redis is of another type`, "wrong_type"},
		{"GET", "/events?channel=a&channel=list", 409, `"list"`, "wrong_type"},
		{"GET", "/events?channel=text&replay=5", 409, "another type", "wrong_type"},
	} {
		for _, proto := range []string{http11, h2c} {
			refusals := r.value("refusals_total")
			req := r.request("")
			req.Method = tc.method
			path, query, _ := strings.Cut(tc.path, "?")
			req.URL = &url.URL{Scheme: "http", Host: r.addr, Path: path, RawQuery: query}
			c := r.do(proto, req)
			if detail := checkProblem(t, c, tc.status); !strings.Contains(detail, tc.want) {
				t.Errorf("%s %s: %q does not say %q", tc.method, tc.path, detail, tc.want)
			}
			if allow := c.resp.Header.Get("Allow"); tc.status == 405 && allow != "GET" {
				t.Errorf("%s %s: Allow is %q", tc.method, tc.path, allow)
			}
			if grown := r.value("refusals_total") - refusals; grown > 0 != (tc.reason != "") {
				t.Errorf("%s %s: %v refusals were counted", tc.method, tc.path, grown)
			}
		}
	}
	if n, m := r.value("refusals_total", "bad_request"), r.value("refusals_total", "wrong_type"); n != 18 || m != 6 {
		t.Errorf("%v bad requests and %v wrong types are counted", n, m)
	}
	if n := r.value("connections"); n != 0 {
		t.Errorf("%v connections are left", n)
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	req := r.request("channel=a")
	req.Method = http.MethodHead
	c := r.do(http11, req)
	if c.resp.StatusCode != http.StatusMethodNotAllowed || c.resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %v", c.resp.Status, c.resp.Header)
	}
}

// checkPassing says that a refusal is one that a browser comes back from: as
// an event stream it is a 200 that ends; for others it is a 503.
func checkPassing(t *testing.T, r *rig, reason string, protos ...string) {
	t.Helper()
	const query = "channel=a"
	before := r.value("refusals_total", reason)
	asked := 0
	seen := map[string]bool{}
	for _, proto := range protos {
		for query, header := range map[string][]string{
			query:                  {"Accept", "text/event-stream"},
			query + "&x=1":         {"Accept", "text/html, Text/Event-Stream;q=0.5"},
			query + "&refusal=200": {"Accept", "*/*", "Authorization", "Basic dTpw"},
		} {
			c := r.do(proto, r.request(query, header...))
			asked++
			if c.resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", proto, c.resp.Status)
			}
			text := c.body()
			for name, v := range streamHeaders() {
				if got := c.resp.Header.Get(name); got != v {
					t.Errorf("%s: %s", name, got)
				}
			}
			if len(c.retries()) != 1 || len(c.parser.Events)+len(c.parser.Ignored) > 0 || strings.Contains(text, "\n\n") {
				t.Fatalf("%s: %q", proto, text)
			}
			if ms, err := strconv.Atoi(c.retries()[0]); err != nil || ms < 5000 || ms > 15000 {
				t.Errorf("retry: %d", ms)
			}
			seen[c.retries()[0]] = true
		}
		// Authorization is what only a client on top of fetch can send.
		for query, header := range map[string][]string{
			query:                  {"Accept", ""},
			query + "&x=1":         {"Accept", "*/*"},
			query + "&x=2":         {"Accept", "text/event-stream", "Authorization", "Basic dTpw"},
			query + "&refusal=503": {"Accept", "text/event-stream"},
		} {
			c := r.do(proto, r.request(query, header...))
			asked++
			checkProblem(t, c, http.StatusServiceUnavailable)
			if s, err := strconv.Atoi(c.resp.Header.Get("Retry-After")); err != nil || s < 5 || s > 16 {
				t.Errorf("Retry-After: %q", c.resp.Header.Get("Retry-After"))
			}
		}
	}
	if len(protos) > 1 && len(seen) < 4 { // of 9
		t.Errorf("the retries are %v", seen)
	}
	if n := r.value("refusals_total", reason) - before; n != float64(asked) {
		t.Errorf("%v refusals for %s are counted, want %d", n, reason, asked)
	}
}

func TestMaxConnections(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *setup) { s.gateway.MaxConnections = 2 })
	first, _ := r.subscribe("channel=a"), r.subscribe("channel=a")
	checkPassing(t, r, "max_connections", http10, http11, h2c)
	r.publish("a", "x")
	first.expect("x")
	first.stop()
	r.await(1, "connections")
	r.subscribe("channel=a")
}

func TestMaxConnectionsPerIP(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *setup) {
		s.gateway.MaxConnectionsPerIP = 2
		s.gateway.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	first, _ := r.subscribe("channel=a"), r.subscribe("channel=a")
	checkPassing(t, r, "max_connections_per_ip", http10, http11, h2c)
	r.subscribe("channel=a", "X-Forwarded-For", "192.0.2.1")
	r.subscribe("channel=a", "X-Forwarded-For", "2001:db8::1")
	r.subscribe("channel=a", "X-Forwarded-For", "2001:db8::2")
	c := r.do(http11, r.request("channel=a", "X-Forwarded-For", "2001:db8::3", "Accept", "*/*"))
	checkProblem(t, c, http.StatusServiceUnavailable)
	first.stop()
	r.await(4, "connections")
	r.subscribe("channel=a")
}

func TestRefusedWhileDraining(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *setup) { s.gateway.DrainDelay = time.Hour })
	open := r.subscribe("channel=a")
	ctx, cutShort := context.WithCancel(t.Context())
	var drain sync.WaitGroup
	drain.Go(func() { r.g.Drain(ctx) })
	redistest.Eventually(t, patience, "the drain to begin", r.g.Draining)
	// The balancer does not know yet, and still sends clients.
	for _, proto := range []string{http10, http11, h2c} {
		c := r.do(proto, r.request("channel=a"))
		if e := c.next(); e.Name != "gateway.ready" {
			t.Errorf("%s: a client during the delay got %+v", proto, e)
		}
	}
	r.publish("a", "x")
	open.expect("x")
	cutShort()
	drain.Wait()
	checkPassing(t, r, "draining", http10, http11, h2c)
}

func TestRefusedWithoutRedis(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.redis.Kill()
	checkPassing(t, r, "redis_unavailable", http11) // it takes a moment to find out
	r.redis.Restart()
	redistest.Eventually(t, patience, "a stream after Redis is back", func() bool {
		c := r.do(http11, r.request("channel=a", "Accept", "*/*"))
		defer c.stop()
		return c.resp.StatusCode == http.StatusOK
	})
	if n := r.value("refusals_total", "max_connections"); n != 0 {
		t.Errorf("%v places are not given back", n)
	}
}

// A load balancer has many clients on one HTTP/2 connection: what one of them
// is told must not end it for the others.
func TestRefusalKeepsTheHTTP2Connection(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *setup) { s.gateway.MaxConnections = 1 })
	open := r.do(h2c, r.request("channel=a"))
	open.next()
	conns := r.accepted.Load()
	for range 3 {
		for _, accept := range []string{"text/event-stream", "*/*"} {
			r.do(h2c, r.request("channel=a", "Accept", accept)).body()
		}
	}
	r.publish("a", "x")
	open.expect("x")
	if n := r.accepted.Load() - conns; n != 0 {
		t.Errorf("%d new connections were made: the refusals have ended the one there was", n)
	}
}
