package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// secrets are words that must not be in anything that a process writes.
type secrets []string

// token makes a token with a key and remembers what is secret of it: all of it,
// and its signature alone.
func (s *secrets) token(t *testing.T, key, channels string, lives time.Duration) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"exp": time.Now().Add(lives).Unix(), "channels": []string{channels}, "private": "claimhunter2",
	}).SignedString([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	*s = append(*s, parts[1], parts[2])
	return token
}

// requireNone checks a text.
func (s secrets) requireNone(t *testing.T, what, text string) {
	t.Helper()
	for _, secret := range s {
		if secret == "" {
			t.Fatal("an empty secret")
		}
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			if i := strings.Index(text, form); i >= 0 {
				t.Errorf("%s has the secret %q: …%s…", what, form, text[max(i-200, 0):min(i+100, len(text))])
				break
			}
		}
	}
}

// Whatever clients send and whatever fails, no secret is in anything that the
// process writes.
func TestSecretsAreNotWritten(t *testing.T) {
	t.Parallel()
	const redisPassword, userPassword, jwtSecret, authKey = "redis-hunter2/é", "user-hunter2", "jwt-hunter2-jwt-hunter2-jwt-hunter2", "auth-hunter2"
	s := secrets{redisPassword, userPassword, jwtSecret, authKey, "claimhunter2", "cookie-hunter2", "bearer-hunter2", "query-hunter2", "basic-hunter2"}
	r := redistest.Start(t, redistest.WithPassword(redisPassword), redistest.WithUser(shippedUser(t, userPassword)))
	var answer atomic.Int64
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(answer.Load())) }))
	defer app.Close()
	env := []string{
		"SSE_ADDR=127.0.0.1:0", "SSE_ADMIN_ADDR=127.0.0.1:0", "SSE_DRAIN_DELAY=0s", "SSE_DRAIN_WINDOW=0s", "SSE_LOG_LEVEL=debug", "SSE_CONSOLE=true",
		"SSE_JWT_SECRET=" + jwtSecret, "SSE_JWT_COOKIE=session", "SSE_JWT_QUERY_PARAM=token", "SSE_AUTH_URL=" + app.URL + "/check?key=" + authKey,
	}
	for _, redisURL := range []string{
		r.URL(), r.URLAs("gateway", userPassword), r.URLAs("gateway", "wrong-hunter2"), "redis://gateway:" + userPassword + "@127.0.0.1:1",
	} {
		s := append(s, "wrong-hunter2")
		p := startGateway(t, append(env, "SSE_LOG_FORMAT=json", "SSE_REDIS_URL="+redisURL)...)
		redistest.Eventually(t, patience, "Redis was tried", func() bool {
			return p.metric("sse_gateway_tail_up") == 1 || strings.Contains(p.err.String(), "the session with Redis ended")
		})
		statuses := []int64{200}
		if redisURL == r.URL() {
			statuses = []int64{200, 401, 403, 500, 302}
		}
		for _, status := range statuses {
			answer.Store(status)
			s.ask(t, p, jwtSecret)
		}
		if strings.Contains(redisURL, r.Addr()) {
			r.KillClients(func(map[string]string) bool { return true })
		}
		for _, path := range []string{"/metrics", "/readyz", "/healthz", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2"} {
			_, body := fetch(t, "http://"+p.admin+path, nil)
			s.requireNone(t, path, body)
		}
		_, page := fetch(t, "http://"+p.public+"/", nil)
		s.requireNone(t, "the console", page)
		p.terminate()
		<-p.exited
		s.requireNone(t, "standard output", p.out.String())
		s.requireNone(t, "the log", p.err.String())
		if !strings.Contains(p.err.String(), `"level":"DEBUG"`) {
			t.Error("the log has no debug line: the test tries nothing")
		}
	}
	for _, command := range []string{"help", "version"} {
		_, out, stderr := runProgram(t, append(env, "SSE_REDIS_URL="+r.URL()), command)
		s.requireNone(t, command, out+stderr)
	}
}

// ask makes requests with good and bad credentials of every kind, and checks
// the answers too.
func (s *secrets) ask(t *testing.T, p *gatewayProcess, key string) {
	t.Helper()
	good, other := s.token(t, key, "a", time.Hour), s.token(t, key, "b", time.Hour)
	forged, expired := s.token(t, strings.Repeat("x", 32), "a", time.Hour), s.token(t, key, "a", -time.Hour)
	for _, token := range []string{good, other, forged, expired, "bearer-hunter2", "a.bearer-hunter2.b", "bearer-hunter2\x7f"} {
		for _, h := range []http.Header{
			{"Authorization": {"Bearer " + token}}, {"Authorization": {"bearer " + token}, "Cookie": {"session=cookie-hunter2"}},
			{"Cookie": {"session=" + token + "; other=cookie-hunter2"}}, {"Authorization": {"Basic basic-hunter2"}},
			{"Authorization": {"Bearer"}, "Cookie": {"session=cookie-hunter2"}},
		} {
			s.once(t, p, "/events?channel=a", h)
		}
		s.once(t, p, "/events?channel=a&token="+url.QueryEscape(token), nil)
		s.once(t, p, "/events?channel=bad%20name&token="+url.QueryEscape(token), nil)
		s.once(t, p, "/events?channel=a&token=query-hunter2%zz", nil)
		s.once(t, p, "/nothing?token=query-hunter2", http.Header{"Authorization": {"Bearer " + token}})
	}
	raw(t, p.public, "GET /events?channel=a&token=query-hunter2 HTTP/1.1\r\nBad Header query-hunter2\r\n\r\n")
	raw(t, p.public, "GET /events?token=query-hunter2 HTTP/9.9\r\nAuthorization: Bearer bearer-hunter2\r\n\r\n")
}

// once makes a request and drops the answer's stream, if it is one.
func (s *secrets) once(t *testing.T, p *gatewayProcess, path string, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.public+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Path, req.URL.RawQuery, _ = strings.Cut(path, "?")
	for k, v := range header {
		req.Header[k] = v
	}
	tr := &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: patience}
	res, err := tr.RoundTrip(req)
	if err != nil {
		if strings.Contains(err.Error(), "invalid header") {
			return // the client's own refusal
		}
		t.Fatal(err)
	}
	defer res.Body.Close()
	body := make([]byte, 2000)
	n, _ := res.Body.Read(body)
	s.requireNone(t, "an answer", fmt.Sprint(res.Status, res.Header, string(body[:n])))
}

// raw sends bytes and waits for the end of the answer.
func raw(t *testing.T, addr, text string) {
	t.Helper()
	conn := dialSmall(t, addr)
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = conn.Write([]byte(text))
	_, _ = conn.Read(make([]byte, 1000))
	conn.Close()
}
