package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/gatewaytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// An event goes from XADD to the client over every version of HTTP, and a
// client goes on where it was after a restart and on another replica.
func TestEndToEnd(t *testing.T) {
	leaveNothing(t)
	r := redistest.Start(t)
	gatewaytest.SetEnv(t, gatewayEnv(r.URL())...)
	first := startRun(t)
	requireServing(t, r, first)

	tr := transport(t, 1, nil)
	url := "/events?channel=orders&channel=alerts"
	c := subscribe(t, tr, "http://"+first.public+url).ready(t)
	r.XAdd("sse:orders", "data", "before")
	c.requireData(t, "before")
	r.XAdd("sse:alerts", "data", "before too")
	position := c.requireData(t, "before too").id
	c.close()
	first.stop(t)

	r.XAdd("sse:orders", "data", "missed 1")
	r.XAdd("sse:orders", "data", "missed 2")
	second, third := startRun(t), startRun(t)
	for _, p := range []*inProcess{second, third} {
		c := subscribe(t, tr, "http://"+p.public+url, "Last-Event-ID", position).ready(t)
		c.requireData(t, "missed 1")
		c.requireData(t, "missed 2")
		r.XAdd("sse:alerts", "data", "live on "+p.public)
		position = c.requireData(t, "live on "+p.public).id
		r.XAdd("sse:orders", "data", "missed 1") // for the next
		r.XAdd("sse:orders", "data", "missed 2")
		c.close()
	}
	second.stop(t)
	third.stop(t)
}

// requireServing checks what a replica without TLS answers.
func requireServing(t *testing.T, r *redistest.Server, p *inProcess) {
	t.Helper()
	for _, version := range []int{1, 2} {
		tr := transport(t, version, nil)
		c := subscribe(t, tr, "http://"+p.public+"/events?channel=orders")
		if c.proto != version || c.status != http.StatusOK || c.header.Get("Content-Type") != "text/event-stream; charset=utf-8" ||
			c.header.Get("Cache-Control") != "no-cache, no-transform" || c.header.Get("X-Accel-Buffering") != "no" {
			t.Errorf("HTTP/%d: %d %v", c.proto, c.status, c.header)
		}
		c.ready(t)
		for i := range 3 {
			data := strconv.Itoa(i)
			id := r.XAdd("sse:orders", "data", data, "event", "order")
			if e := c.requireData(t, data); e.id != id || e.name != "order" {
				t.Errorf("HTTP/%d: got %+v, want id %s", version, e, id)
			}
		}
		c.close()
		res, err := tr.RoundTrip(mustRequest(t, "http://"+p.public+"/"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusNotFound || res.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(string(body), `"status":404`) {
			t.Errorf("HTTP/%d: without console / answers %s, %s", version, res.Status, body)
		}
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/debug/pprof/": 200, "/events": 404} {
		if status, _ := fetch(t, "http://"+p.admin+path, nil); status != want {
			t.Errorf("admin: %s answers %d, want %d", path, status, want)
		}
		if status, _ := fetch(t, "http://"+p.public+path, nil); path != "/events" && status != http.StatusNotFound {
			t.Errorf("public: %s answers %d, want 404", path, status)
		}
	}
}

func mustRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// Redis is reached in every way that a URL can say.
func TestRedisURLs(t *testing.T) {
	plain := redistest.Start(t, redistest.WithUnixSocket(), redistest.WithPassword("p@ss/word"), redistest.WithUser(shippedUser(t, "s3cret")))
	withTLS := redistest.Start(t, redistest.WithTLS())
	for name, tt := range map[string]struct {
		server *redistest.Server
		url    string
	}{
		"password":     {plain, plain.URL()},
		"user":         {plain, plain.URLAs("gateway", "s3cret")},
		"Unix socket":  {plain, "unix://:p%40ss%2Fword@" + plain.Socket},
		"certificates": {withTLS, withTLS.URL()},
	} {
		t.Run(name, func(t *testing.T) {
			leaveNothing(t)
			gatewaytest.SetEnv(t, gatewayEnv(tt.url)...)
			p := startRun(t)
			c := subscribe(t, transport(t, 1, nil), "http://"+p.public+"/events?channel=a").ready(t)
			tt.server.XAdd("sse:a", "data", name)
			c.requireData(t, name)
			c.close()
			p.stop(t)
		})
	}
}

// shippedUser is the Redis user for gateways in deploy, with another password.
func shippedUser(t *testing.T, password string) string {
	t.Helper()
	b, err := os.ReadFile("../../deploy/redis/users.acl")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^user (gateway on) #[0-9a-f]{64} (.*)$`).FindStringSubmatch(string(b))
	if m == nil {
		t.Fatal("users.acl has no user for gateways")
	}
	return m[1] + " >" + password + " " + m[2]
}

// A certificate is replaced without a restart, and a replacement that is
// broken, or half done, changes nothing.
func TestTLS(t *testing.T) {
	leaveNothing(t)
	r := redistest.Start(t)
	first, second := redistest.NewTLSFiles(t), redistest.NewTLSFiles(t)
	cert, key := filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	copyFile(t, first.ServerCertFile, cert)
	copyFile(t, first.ServerKeyFile, key)
	gatewaytest.SetEnv(t, gatewayEnv(r.URL(), "SSE_TLS_CERT_FILE="+cert, "SSE_TLS_KEY_FILE="+key)...)
	p := startRun(t)

	open := streamsOverTLS(t, r, p, first.ClientConfig())
	if _, err := tls.Dial("tcp", p.public, second.ClientConfig()); err == nil {
		t.Fatal("the second certificate is served before it is there")
	}

	// Only the certificate: it does not fit the key.
	copyFile(t, second.ServerCertFile, cert)
	redistest.Eventually(t, patience, "the log tells of the broken replacement", func() bool {
		handshake(t, p.public, first.ClientConfig())
		return strings.Contains(p.err.String(), "the new certificate cannot be used")
	})
	if err := os.WriteFile(key, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, patience, "the log tells of the second broken replacement", func() bool {
		handshake(t, p.public, first.ClientConfig())
		return strings.Count(p.err.String(), "the new certificate cannot be used") == 2
	})
	copyFile(t, second.ServerKeyFile, key)
	redistest.Eventually(t, patience, "the new certificate is served", func() bool {
		conn, err := tls.Dial("tcp", p.public, second.ClientConfig())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	streamsOverTLS(t, r, p, second.ClientConfig())
	r.XAdd("sse:a", "data", "still open")
	for _, c := range open {
		for c.next(t).data != "still open" {
		}
		c.close()
	}

	// No plain HTTP, no old TLS.
	if status, body := fetch(t, "http://"+p.public+"/events?channel=a", nil); status != http.StatusBadRequest {
		t.Errorf("without TLS: %d %s", status, body)
	}
	old := second.ClientConfig()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if conn, err := tls.Dial("tcp", p.public, old); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is spoken")
	}
	p.stop(t)
}

// streamsOverTLS opens a stream over each version of HTTP and leaves them open.
func streamsOverTLS(t *testing.T, r *redistest.Server, p *inProcess, config *tls.Config) (open []*client) {
	t.Helper()
	for _, version := range []int{1, 2} {
		c := subscribe(t, transport(t, version, config.Clone()), "https://"+p.public+"/events?channel=a").ready(t)
		if c.proto != version {
			t.Errorf("HTTP/%d, want %d", c.proto, version)
		}
		r.XAdd("sse:a", "data", "over TLS")
		c.requireData(t, "over TLS")
		open = append(open, c)
	}
	return open
}

// handshake checks that a server's certificate is one of an authority.
func handshake(t *testing.T, addr string, config *tls.Config) {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, config)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
