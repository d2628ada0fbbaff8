package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

var corsSecret = strings.Repeat("k", 32)

// signedToken is a token that opens the channel private.
func signedToken(t *testing.T) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"exp": time.Now().Add(time.Hour).Unix(), "channels": []string{"private"},
	}).SignedString([]byte(corsSecret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// tokenEnv is the environment of a gateway for tokens in a cookie, of which the
// browser keeps one per host, whatever the port.
func tokenEnv(r *redistest.Server, cookie, origins string, env ...string) []string {
	return append(append(gatewayEnv(r.URL()), "SSE_PUBLIC_CHANNELS=public", "SSE_JWT_SECRET="+corsSecret,
		"SSE_JWT_COOKIE="+cookie, "SSE_CORS_ORIGINS="+origins, "SSE_RETRY=200ms"), env...)
}

// Pages of other origins subscribe, with the cookie that holds a token, as far
// as SSE_CORS_ORIGINS lets them.
func testCORSNamed(t *testing.T, browser context.Context) {
	r := redistest.Start(t)
	home, stranger := page(t), page(t)
	p := startGateway(t, tokenEnv(r, "named", home+","+otherHost(home))...)
	private := p.eventsURL("channel=private")
	cookie := "/login?" + query("cookie", "named", "value", signedToken(t))

	// Another port is another origin of the same site.
	tb := openTab(t, browser, home+cookie)
	same := tb.listen("same site", private, true)
	same.requireReady()
	without := tb.listen("without credentials", private, false)
	without.requireClosed()
	// Another name is another site.
	far := openTab(t, browser, otherHost(home))
	far.login(home + cookie)
	cross := far.listen("cross site", private, true)
	cross.requireReady()
	for i := range 3 {
		id := r.XAdd("sse:private", "data", fmt.Sprint("secret ", i))
		for _, s := range []*source{same, cross} {
			if e := s.events(i + 2)[i+1]; e != (browserEvent{"message", fmt.Sprint("secret ", i), id}) {
				t.Errorf("%s: got %+v", s.name, e)
			}
		}
	}
	// Origins that are not named, with the cookie and without one.
	for _, url := range []string{stranger, otherHost(stranger)} {
		tb := openTab(t, browser, url)
		tb.login(home + cookie)
		tb.listen("stranger", private, true).requireClosed()
		tb.listen("stranger to what is public", p.eventsURL("channel=public"), false).requireClosed()
	}
	// The gateway let the strangers in; it is the browser, told nothing of their
	// origin, that kept the answer from them and closed it.
	if n := p.metric("sse_gateway_connections_opened_total"); n != 6 {
		t.Errorf("%v streams were opened, want 6", n)
	}
	// Chromium waits five seconds for the end of a body that it may not show.
	p.awaitMetric(patience, 2, "sse_gateway_connections")
}

// Any origin may subscribe, but none with credentials.
func testCORSAll(t *testing.T, browser context.Context) {
	r := redistest.Start(t)
	home := page(t)
	p := startGateway(t, tokenEnv(r, "all", "*")...)
	tb := openTab(t, browser, home+"/login?"+query("cookie", "all", "value", signedToken(t)))
	open := tb.listen("without credentials", p.eventsURL("channel=public"), false)
	open.requireReady()
	tb.listen("with credentials", p.eventsURL("channel=public"), true).requireClosed()
	tb.listen("what needs the cookie", p.eventsURL("channel=private"), true).requireClosed()
	r.XAdd("sse:public", "data", "for all")
	if e := open.events(2)[1]; e.Data != "for all" {
		t.Errorf("got %+v", e)
	}
}

// fetchClient reads a stream up to a text, as a fetch-based client does. What
// it sends is not on the list of what a page may send without asking.
const fetchClient = `(async () => {
  try {
    const stop = new AbortController()
    const res = await fetch(%q, {signal: stop.signal, headers: {Accept: "text/event-stream",
      Authorization: "Bearer %s", "Last-Event-ID": %q, "Cache-Control": "no-cache"}})
    const body = res.body.getReader(), decoder = new TextDecoder()
    let text = ""
    while (!text.includes(%q)) {
      const {done, value} = await body.read()
      if (done) break
      text += decoder.decode(value, {stream: true})
    }
    stop.abort()
    window.got = res.status + " " + text
  } catch (e) { window.got = "failed: " + e }
})(), true`

// A fetch-based client makes the browser ask first.
func testCORSFetch(t *testing.T, browser context.Context) {
	r := redistest.Start(t)
	home, stranger := page(t), page(t)
	p := startGateway(t, tokenEnv(r, "fetch", home)...)
	first := r.XAdd("sse:private", "data", "seen")
	second := r.XAdd("sse:private", "data", "missed")
	script := fmt.Sprintf(fetchClient, p.eventsURL("channel=private"), signedToken(t), first, "missed")

	tb := openTab(t, browser, home)
	evaluate[bool](tb, script)
	tb.until(browserPatience, `"got" in window`)
	got := evaluate[string](tb, "window.got")
	if !strings.HasPrefix(got, "200 retry: ") || !strings.Contains(got, "id: "+second+"\ndata: missed\n") || strings.Contains(got, "data: seen") {
		t.Errorf("got %s", got)
	}

	tb = openTab(t, browser, stranger)
	evaluate[bool](tb, script)
	tb.until(browserPatience, `"got" in window`)
	if got := evaluate[string](tb, "window.got"); !strings.HasPrefix(got, "failed: ") {
		t.Errorf("a stranger got %s", got)
	}
	if !strings.Contains(strings.Join(tb.takeNoise(), "\n"), "preflight") {
		t.Error("the browser did not ask before it sent the token")
	}
}

// The browser's own Last-Event-ID crosses origins.
func testCORSResume(t *testing.T, browser context.Context) {
	r := redistest.Start(t)
	home := page(t)
	env := append(tokenEnv(r, "resume", home), fixedPorts(t)...)
	p := startGateway(t, env...)
	tb := openTab(t, browser, home+"/login?"+query("cookie", "resume", "value", signedToken(t)))
	two := tb.listen("two channels", p.eventsURL("channel=private&channel=public"), true)
	two.requireReady()
	want := []string{"before"}
	r.XAdd("sse:private", "data", "before")
	two.events(2)
	p.kill()
	for i := range 5 {
		want = append(want, fmt.Sprint("missed ", i))
		r.XAdd([]string{"sse:private", "sse:public"}[i%2], "data", want[i+1])
	}
	p = startGateway(t, env...)
	for _, e := range two.events(len(want) + 2) {
		switch {
		case e.Type == "gateway.gap":
			t.Errorf("a gap: %+v", e)
		case strings.Count(e.ID, "~") != 2:
			t.Errorf("%+v has no position in two channels", e)
		}
	}
	requireInOrder(t, two, want)
	if n := p.metric("sse_gateway_resumes_total", "complete"); n == 0 {
		t.Error("the browser came back without its position")
	}
}

// requireInOrder checks that a source had these messages, each once; between
// two channels there is no order.
func requireInOrder(t *testing.T, s *source, want []string) {
	t.Helper()
	var got []string
	for _, e := range evaluate[[]browserEvent](s.tb, s.js()+".events") {
		if e.Type == "message" {
			got = append(got, e.Data)
		}
	}
	seen := map[string]int{}
	for _, data := range got {
		seen[data]++
	}
	for _, data := range want {
		if seen[data] != 1 {
			t.Errorf("%q came %d times: %q", data, seen[data], got)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d messages, want %d: %q", len(got), len(want), got)
	}
}
