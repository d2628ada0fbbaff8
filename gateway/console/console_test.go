package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// ask sends one request to a handler.
func ask(h http.Handler, method, path, body string, header ...string) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPageHeaders(t *testing.T) {
	h := Handler(Options{EventsURL: "https://events.example:8443/events"})
	res := ask(h, "GET", "/", "")
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	for name, want := range map[string]string{
		"Content-Type":               "text/html; charset=utf-8",
		"X-Content-Type-Options":     "nosniff",
		"Referrer-Policy":            "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin",
		"Cache-Control":              "no-cache",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	policy := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{
		"default-src 'none'; connect-src 'self' https://events.example:8443;", "style-src 'self';",
		"script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "img-src data:;",
	} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q is not strict", policy)
	}
}

func TestPageIsRevalidated(t *testing.T) {
	h := Handler(Options{})
	tag := ask(h, "GET", "/", "").Header.Get("ETag")
	if res := ask(h, "GET", "/", "", "If-None-Match", tag); res.StatusCode != http.StatusNotModified || body(t, res) != "" {
		t.Error("with its own ETag: ", res.Status)
	}
	if other := ask(Handler(Options{Dev: true}), "GET", "/", "").Header.Get("ETag"); other == tag {
		t.Error("another page has the same ETag")
	}
	if res := ask(h, "HEAD", "/", ""); res.StatusCode != http.StatusOK || body(t, res) != "" {
		t.Error("HEAD: ", res.Status)
	}
}

func TestSettingsCannotLeaveTheirBlock(t *testing.T) {
	evil := "</script><img src=x onerror=alert(1)>\u2028<!--<script>"
	page := body(t, ask(Handler(Options{KeyPrefix: evil, RedisHint: evil, DefaultChannels: []string{evil}}), "GET", "/", ""))
	if strings.Contains(page, "<img src=x") {
		t.Error("a setting stands in the page as HTML")
	}
	_, rest, _ := strings.Cut(page, `<script type="application/json" id="settings">`)
	text, _, _ := strings.Cut(rest, "</script>")
	var got settings
	if err := json.Unmarshal([]byte(text), &got); err != nil || got.KeyPrefix != evil {
		t.Errorf("read back %q, %v", got.KeyPrefix, err)
	}
}

func TestRefusals(t *testing.T) {
	all := Handler(lively())
	none := Handler(Options{})
	for _, c := range []struct {
		h            http.Handler
		method, path string
		status       int
		allow        string
	}{
		{all, "GET", "/nothing", 404, ""},
		{all, "GET", "/console", 404, ""},
		{all, "GET", "/index.html", 404, ""},
		{all, "POST", "/", 405, "GET, HEAD"},
		{all, "DELETE", "/console/stats", 405, "GET, HEAD"},
		{all, "GET", "/console/publish", 405, "POST"},
		{none, "POST", "/console/publish", 404, ""},
		{none, "GET", "/console/stats", 404, ""},
	} {
		res := ask(c.h, c.method, c.path, "")
		if res.StatusCode != c.status || res.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %s, Allow %q", c.method, c.path, res.Status, res.Header.Get("Allow"))
		}
		var p struct {
			Type   string
			Status int
		}
		if err := json.NewDecoder(res.Body).Decode(&p); err != nil || p.Status != c.status || p.Type != "about:blank" ||
			res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: not a problem document: %+v, %v", c.method, c.path, p, err)
		}
	}
}

func TestStats(t *testing.T) {
	h := Handler(Options{Stats: func() Stats { return Stats{Connections: 7} }})
	res := ask(h, "GET", "/console/stats", "")
	want := `{"connections":7,"deliveries":0,"events_read":0,"latency":{"count":0,"buckets":[]}}`
	if got := strings.TrimSpace(body(t, res)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if res.Header.Get("Cache-Control") != "no-store" {
		t.Error("figures may be cached")
	}
}

func TestChannels(t *testing.T) {
	res := ask(Handler(Options{Channels: func() any { return []string{"orders"} }}), "GET", "/console/channels", "")
	if got := strings.TrimSpace(body(t, res)); got != `["orders"]` || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %s, Cache-Control %q", got, res.Header.Get("Cache-Control"))
	}
	if res := ask(Handler(Options{}), "GET", "/console/channels", ""); res.StatusCode != 404 {
		t.Errorf("without channels: %s", res.Status)
	}
}

func TestPublish(t *testing.T) {
	var got []Event
	opts := Options{
		Logger: slog.New(slog.DiscardHandler),
		Publish: func(_ context.Context, e Event) (string, error) {
			if e.Channel == "broken" {
				return "", errors.New("secret cause")
			}
			got = append(got, e)
			return "5-1", nil
		},
	}
	h := Handler(opts)
	good := `{"channel":"demo","event":"ping","data":"a\nb</script>"}`
	const kind = "application/json"
	for _, c := range []struct {
		name, body string
		header     []string
		status     int
	}{
		{"same origin", good, []string{"Content-Type", kind, "Host", "127.0.0.1:8080", "Sec-Fetch-Site", "same-origin"}, 200},
		{"origin is the host", good, []string{"Content-Type", kind + "; charset=utf-8", "Host", "LOCALHOST", "Origin", "http://LOCALHOST"}, 200},
		{"a host of ours", good, []string{"Content-Type", kind, "Host", "dev.localhost:80", "Sec-Fetch-Site", "same-origin"}, 200},
		{"an address", good, []string{"Content-Type", kind, "Host", "[fd00::1]:8080", "Sec-Fetch-Site", "same-origin"}, 200},
		{"a name that leads here", good, []string{"Content-Type", kind, "Host", "evil.example:8080", "Sec-Fetch-Site", "same-origin"}, 403},
		{"its origin", good, []string{"Content-Type", kind, "Host", "evil.example", "Origin", "http://evil.example"}, 403},
		{"a name like an address", good, []string{"Content-Type", kind, "Host", "127.0.0.1.evil.example", "Origin", "http://127.0.0.1.evil.example"}, 403},
		{"no browser", good, []string{"Content-Type", kind}, 200},
		{"cross-site", good, []string{"Content-Type", kind, "Sec-Fetch-Site", "cross-site"}, 403},
		{"same site, other origin", good, []string{"Content-Type", kind, "Sec-Fetch-Site", "same-site"}, 403},
		{"other origin", good, []string{"Content-Type", kind, "Origin", "http://evil.example"}, 403},
		{"null origin", good, []string{"Content-Type", kind, "Origin", "null"}, 403},
		{"a form's type", good, []string{"Content-Type", "text/plain"}, 415},
		{"no type", good, nil, 415},
		{"not JSON", "x", []string{"Content-Type", kind}, 400},
		{"empty", "", []string{"Content-Type", kind}, 400},
		{"two objects", good + good, []string{"Content-Type", kind}, 400},
		{"more after it", good + "x", []string{"Content-Type", kind}, 400},
		{"wrong type", `{"channel":1}`, []string{"Content-Type", kind}, 400},
		{"unknown field", `{"channel":"a","key":"b"}`, []string{"Content-Type", kind}, 400},
		{"no channel", `{"data":"x"}`, []string{"Content-Type", kind}, 400},
		{"channel outside the alphabet", `{"channel":"a b"}`, []string{"Content-Type", kind}, 400},
		{"too large", `{"data":"` + strings.Repeat("x", maxPublishBytes) + `"}`, []string{"Content-Type", kind}, 413},
		{"Redis fails", `{"channel":"broken"}`, []string{"Content-Type", kind}, 502},
	} {
		before := len(got)
		res := ask(h, "POST", "/console/publish", c.body, c.header...)
		text := body(t, res)
		if res.StatusCode != c.status {
			t.Errorf("%s: %s %s", c.name, res.Status, text)
		}
		if published := len(got) > before; published != (c.status == 200) {
			t.Errorf("%s: published is %v", c.name, published)
		}
		if strings.Contains(text, "secret") {
			t.Errorf("%s: tells the cause: %s", c.name, text)
		}
		if c.status == 200 && strings.TrimSpace(text) != `{"id":"5-1"}` {
			t.Errorf("%s: %s", c.name, text)
		}
	}
	if got[0] != (Event{Channel: "demo", Name: "ping", Data: "a\nb</script>"}) {
		t.Errorf("published %+v", got[0])
	}
	opts.Dev = true
	res := ask(Handler(opts), "POST", "/console/publish", `{"channel":"broken"}`, "Content-Type", kind)
	if text := body(t, res); !strings.Contains(text, "secret cause") {
		t.Errorf("in development the cause is told, got %s", text)
	}
}

// The tour's only request that changes something is guarded as publishing is, and only
// the tour's streams are trimmed.
func TestTour(t *testing.T) {
	h := Handler(lively())
	const kind, kill, publish = "application/json", "/console/tour/kill", "/console/publish"
	for _, c := range []struct {
		name, path, body string
		header           []string
		status           int
	}{
		{"kill", kill, `{"channel":"sse-gateway.tour:1"}`, []string{"Content-Type", kind, "Host", "localhost", "Sec-Fetch-Site", "same-origin"}, 200},
		{"nobody serves it", kill, `{"channel":"sse-gateway.tour:2"}`, []string{"Content-Type", kind}, 409},
		{"another site", kill, `{"channel":"sse-gateway.tour:1"}`, []string{"Content-Type", kind, "Sec-Fetch-Site", "cross-site"}, 403},
		{"a name that leads here", kill, `{"channel":"sse-gateway.tour:1"}`, []string{"Content-Type", kind, "Host", "evil.example", "Sec-Fetch-Site", "same-origin"}, 403},
		{"a form's type", kill, `{"channel":"sse-gateway.tour:1"}`, []string{"Content-Type", "text/plain"}, 415},
		{"not JSON", kill, `x`, []string{"Content-Type", kind}, 400},
		{"trim the tour", publish, `{"channel":"sse-gateway.tour:1","keep":5}`, []string{"Content-Type", kind}, 200},
		{"trim another", publish, `{"channel":"orders","keep":5}`, []string{"Content-Type", kind}, 400},
		{"trim to less than nothing", publish, `{"channel":"sse-gateway.tour:1","keep":-1}`, []string{"Content-Type", kind}, 400},
	} {
		if res := ask(h, "POST", c.path, c.body, c.header...); res.StatusCode != c.status {
			t.Errorf("%s: %s %s", c.name, res.Status, body(t, res))
		}
	}
	if got := strings.TrimSpace(body(t, ask(h, "GET", "/console/tour/replicas", ""))); got != `[{"name":"A","up":true,"channels":["sse-gateway.tour:1"]},{"name":"B","up":true,"channels":[]}]` {
		t.Errorf("the replicas are %s", got)
	}
	if res := ask(Handler(Options{}), "GET", "/console/tour/replicas", ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("without a tour: %s", res.Status)
	}
}

func TestScripts(t *testing.T) {
	node := redistest.Command(t, "node", "nodejs")
	files, err := filepath.Glob("jstest/*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatal("no script tests: ", err)
	}
	out, err := exec.CommandContext(t.Context(), node, append([]string{"--test"}, files...)...).CombinedOutput()
	if err != nil {
		t.Errorf("node --test: %v\n%s", err, out)
	}
}
