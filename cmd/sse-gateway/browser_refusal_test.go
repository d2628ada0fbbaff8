package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// What passes never closes an EventSource for good: it is CONNECTING, and later
// OPEN.
func testPassingRefusals(t *testing.T, browser context.Context) {
	home := page(t)
	tb := openTab(t, browser, home)
	env := func(r *redistest.Server, more ...string) []string {
		return append(append(gatewayEnv(r.URL()), "SSE_CORS_ORIGINS="+home, "SSE_RETRY=100ms"), more...)
	}

	up := redistest.Start(t)
	full := startGateway(t, env(up, "SSE_MAX_CONNECTIONS=1")...)
	holder := subscribe(t, transport(t, 1, nil), full.eventsURL("channel=a")).ready(t)
	crowded := startGateway(t, env(up, "SSE_MAX_CONNECTIONS_PER_IP=1")...)
	http2 := transport(t, 2, nil) // one connection that is not a stream's own
	neighbour := subscribe(t, http2, crowded.eventsURL("channel=a"))

	down := redistest.Start(t)
	down.Stop()
	early := startGateway(t, env(down)...)

	drainEnv := append(env(up, "SSE_DRAIN_DELAY=2s"), fixedPorts(t)...)
	draining := startGateway(t, drainEnv...)
	keeper := subscribe(t, transport(t, 1, nil), draining.eventsURL("channel=a")).ready(t)
	draining.terminate()
	redistest.Eventually(t, patience, "the replica drains", func() bool {
		status, _ := draining.ready()
		return status == http.StatusServiceUnavailable
	})

	all := []*source{
		tb.listen("full", full.eventsURL("channel=a"), false),
		tb.listen("early", early.eventsURL("channel=a"), false),
		tb.listen("draining", draining.eventsURL("channel=a"), false),
		tb.listen("crowded", crowded.eventsURL("channel=a"), false),
	}
	for _, s := range all {
		s.tb.until(browserPatience, s.js()+".errors > 0")
		if state := evaluate[int](tb, s.js()+".es.readyState"); state != 0 {
			t.Errorf("%s: after the refusal readyState is %d, want CONNECTING", s.name, state)
		}
	}
	holder.close()
	neighbour.close()
	http2.CloseIdleConnections()
	down.Restart()
	keeper.awaitEnd(t, patience)
	draining.requireExit(patience)
	startGateway(t, drainEnv...)
	for _, s := range all {
		tb.until(browserPatience, s.js()+".es.readyState === EventSource.OPEN && "+s.js()+".events.length > 0")
		if evaluate[bool](tb, s.js()+".everClosed") {
			t.Errorf("%s was closed in between", s.name)
		}
		s.requireReady()
	}
}

// What does not pass closes an EventSource for good.
func testFinalRefusals(t *testing.T, browser context.Context) {
	r := redistest.Start(t)
	home := page(t)
	p := startGateway(t, append(gatewayEnv(r.URL()), "SSE_CORS_ORIGINS="+home, "SSE_PUBLIC_CHANNELS=public:*",
		"SSE_JWT_SECRET="+corsSecret, "SSE_JWT_QUERY_PARAM=token")...)
	r.Do("SET", "sse:public:text", "no stream")
	tb := openTab(t, browser, home)
	for _, tt := range []struct{ name, url, reason string }{
		{"400", p.eventsURL("channel=a+b"), "bad_request"},
		{"401", p.eventsURL("channel=private"), "unauthorized"},
		{"403", p.eventsURL("channel=other&token=" + signedToken(t)), "forbidden"},
		{"404", "http://" + p.public + "/event", ""},
		{"409", p.eventsURL("channel=public:text"), "wrong_type"},
	} {
		tb.listen(tt.name, tt.url, false).requireClosed()
		if tt.reason == "" {
			continue
		}
		if n := p.metric("sse_gateway_refusals_total", tt.reason); n != 1 {
			t.Errorf("%s: %v refusals of reason %s, want 1", tt.name, n, tt.reason)
		}
	}
}

// Firefox and Safari drop an id that comes without data, so the first frame of
// every stream has both: a connection that is lost at once resumes.
func TestFirstFrameHasIDAndData(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL())...)
	id := r.XAdd("sse:a", "data", "x")
	frame := regexp.MustCompile(`^retry: [0-9]+\nid: [0-9a-f~-]{1,128}\nevent: gateway\.ready\ndata: \{"channels":\{[^\n]+\}\}\n\n$`)
	gap := regexp.MustCompile(`^retry: [0-9]+\nid: [0-9a-f~-]{1,128}\nevent: gateway\.gap\ndata: \{"channel":"a",[^\n]+\}\n\n$`)
	if got := firstFrame(t, p, "channel=a&last_event_id=nonsense"); !gap.MatchString(got) {
		t.Errorf("after an unknown id it begins with %q", got)
	}
	for _, query := range []string{"channel=a", "channel=none", "channel=a&channel=b", "channel=a&envelope=json", "channel=a&replay=all",
		"channel=a&since=1h", "channel=a&last_event_id=" + id, "channel=a&last_event_id=99999999999999-0"} {
		if got := firstFrame(t, p, query); !frame.MatchString(got) {
			t.Errorf("%s begins with %q", query, got)
		}
	}
}

// firstFrame returns the bytes up to the first empty line of a stream.
func firstFrame(t *testing.T, p *gatewayProcess, query string) string {
	t.Helper()
	c, err := net.Dial("tcp", p.public)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "GET /events?"+query+" HTTP/1.1\r\nHost: gateway\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// The body is left: to close it would be to wait for its end.
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	var frame strings.Builder
	for in := bufio.NewReader(res.Body); !strings.HasSuffix(frame.String(), "\n\n"); {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: after %q: %v", query, frame.String(), err)
		}
		frame.WriteString(line)
	}
	return frame.String()
}
