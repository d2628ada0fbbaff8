package access

import (
	"crypto/tls"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

func TestForwardDifferentQuestionsAreAsked(t *testing.T) {
	url, asked := application(t, func(http.ResponseWriter, *http.Request) {})
	a := newAuthorizer(t, Config{AuthURL: url, AuthCacheTTL: time.Minute})
	ask := func(r *http.Request, channels ...string) int64 {
		t.Helper()
		before := asked.Load()
		if _, err := a.Authorize(r, channels); err != nil {
			t.Fatal(err)
		}
		return asked.Load() - before
	}
	base := []string{"Cookie", "s=1", "Authorization", "Basic x", "Origin", "https://a", "User-Agent", "b/1"}
	if ask(request("/events?ticket=1&since=1h", base...), "a", "b") != 1 {
		t.Fatal("the first was not asked")
	}
	same := map[string]*http.Request{"same": request("/events?ticket=1&since=1h", base...)}
	for _, name := range Params {
		same["another "+name] = request("/events?ticket=1&since=1h&"+name+"=2", base...)
	}
	for name, r := range same {
		if ask(r, "b", "a") != 0 {
			t.Errorf("%s: asked again", name)
		}
	}
	changed := func(i int, v string) []string {
		c := append([]string(nil), base...)
		c[i] = v
		return c
	}
	secure := request("/events?ticket=1", base...)
	secure.TLS = &tls.ConnectionState{}
	host := request("/events?ticket=1", base...)
	host.Host = "tenant2.example"
	elsewhere := request("/events?ticket=1", base...)
	elsewhere.RemoteAddr = "198.51.100.9:1"
	for name, r := range map[string]*http.Request{
		"cookie": request("/events?ticket=1", changed(1, "s=2")...), "authorization": request("/events?ticket=1", changed(3, "Basic y")...),
		"origin": request("/events?ticket=1", changed(5, "https://evil")...), "browser": request("/events?ticket=1", changed(7, "b/2")...),
		"ticket": request("/events?ticket=2", base...), "no ticket": request("/events", base...), "path": request("/event?ticket=1", base...),
		"address": elsewhere, "scheme": secure, "host": host, "two cookies": request("/events?ticket=1", append(changed(1, "s"), "Cookie", "=1")...),
	} {
		if ask(r, "a", "b") != 1 {
			t.Errorf("another %s: not asked", name)
		}
	}
	if ask(request("/events?ticket=1", base...), "a") != 1 {
		t.Error("other channels: not asked")
	}
}

func TestForwardRefusalsAreNotCached(t *testing.T) {
	var code atomic.Int64
	url, asked := application(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(code.Load())) })
	a := newAuthorizer(t, Config{AuthURL: url, AuthCacheTTL: time.Minute})
	for i, c := range []int64{401, 403, 500, 200} {
		code.Store(c)
		_, err := a.Authorize(withCookie("s=1"), []string{"a"})
		if asked.Load() != int64(i+1) || (err == nil) != (c == 200) {
			t.Errorf("%d: %v, asked %d times", c, err, asked.Load())
		}
	}
	code.Store(500)
	if _, err := a.Authorize(withCookie("s=1"), []string{"a"}); err != nil {
		t.Errorf("an allowing answer was not kept: %v", err)
	}
}
