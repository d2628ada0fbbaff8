package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/deploy/proxytest"
)

// getAll asks a URL with headers, and returns the answer with all of its body.
func getAll(t *testing.T, rt http.RoundTripper, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("GET %s: %v", url, err)
	}
	return res, string(body)
}

// Behind HAProxy and nginx a long poll is answered with its event, and a refusal that
// passes is what the client can read: the gateway's, and the proxy's own when the
// gateway is away.
func TestPollsAndRefusalsThroughProxies(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]proxytest.Starter{"HAProxy": proxytest.HAProxy, "nginx": proxytest.Nginx} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, pair := startPair(t, "SSE_MAX_CONNECTIONS=1")
			pair[1].terminate()
			pair[1].requireExit(patience)
			p := pair[0]
			lb := start(t, time.Minute, behind(p)...)
			transports := map[string]http.RoundTripper{lb.HTTP1: transport(t, 1, nil)}
			if lb.HTTP2 != lb.HTTP1 {
				transports[lb.HTTP2] = transport(t, 2, nil)
			}
			for base, rt := range transports {
				subscribeUntil(t, rt, base+"/events?channel=a").close()
				p.awaitMetric(patience, 0, "sse_gateway_connections")
				polled := make(chan string, 1)
				go func() {
					_, page := getAll(t, rt, base+"/events?channel=a&wait=30s&last_event_id=0", "Accept", "application/json")
					polled <- page
				}()
				id := r.XAdd("sse:a", "data", "polled")
				if page := <-polled; !strings.Contains(page, `"position":"`+id+`"`) || !strings.Contains(page, "polled") {
					t.Errorf("%s: a long poll got %s", base, page)
				}
				r.Do("DEL", "sse:a")
			}
			refused := func(who string) {
				for base, rt := range transports {
					for _, c := range []struct {
						query  string
						header []string
						status int
					}{
						{"", []string{"Accept", "text/event-stream"}, 200},
						{"", []string{"Accept", "text/event-stream", "Authorization", "Bearer x"}, 503},
						{"", []string{"Accept", "*/*"}, 503},
						{"", []string{"Accept", "application/json"}, 503},
						{"&refusal=503", []string{"Accept", "text/event-stream"}, 503},
						{"&refusal=200", []string{"Accept", "*/*", "Authorization", "Bearer x"}, 200},
					} {
						res, body := getAll(t, rt, base+"/events?channel=a"+c.query, c.header...)
						told := res.Header.Get("Retry-After") != ""
						if c.status == http.StatusOK {
							told = strings.HasPrefix(body, "retry: ") && strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream")
						}
						if res.StatusCode != c.status || !told {
							t.Errorf("%s, %s, %s %q: %s %v %q, want %d", who, base, c.query, c.header, res.Status, res.Header, body, c.status)
						}
					}
				}
			}
			holder := subscribeUntil(t, transports[lb.HTTP1], lb.HTTP1+"/events?channel=a")
			refused("the gateway is full")
			holder.close()
			_ = p.cmd.Process.Kill()
			<-p.exited
			refused("the gateway is away")
		})
	}
}
