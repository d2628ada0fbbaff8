package access

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sse-gateway/sse-gateway/gateway/access/outbound"
)

// application starts the server that is asked, and counts the questions.
func application(t testing.TB, h http.HandlerFunc) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/may?app=1", asked
}

// patience is how long a test waits for what has to happen; a quick machine
// never waits it out.
const patience = time.Minute

// waiting returns how many requests wait for answers.
func (g *flights) waiting() (questions, waiters int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range g.m {
		waiters += f.waiters
	}
	return len(g.m), waiters
}

func withCookie(cookie string) *http.Request { return request("/events?channel=a", "Cookie", cookie) }

func TestForwardQuestion(t *testing.T) {
	got := make(chan *http.Request, 1)
	url, _ := application(t, func(_ http.ResponseWriter, r *http.Request) { got <- r })
	a := newAuthorizer(t, Config{AuthURL: url, PublicChannels: []string{"public"}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	r := request("/events?channel=a&last_event_id=1-1", "Cookie", "a=b; c=d", "Authorization", "Basic dTpw",
		"Origin", "https://app.example", "User-Agent", "Browser/1", "X-Forwarded-For", "1.1.1.1, 198.51.100.1:99",
		"X-Forwarded-Proto", "https", "X-Forwarded-Host", "forged.example", "X-Sse-Channels", "forged", "X-Original-Uri", "/forged", "X-Other", "secret", "Connection", "close")
	g, err := a.Authorize(r, []string{"b", "public", "a:1", "b"})
	if err != nil || !g.Expires.IsZero() {
		t.Fatalf("got %v, %v", g, err)
	}
	q := <-got
	want := http.Header{
		"Cookie": {"a=b; c=d"}, "Authorization": {"Basic dTpw"}, "Origin": {"https://app.example"}, "User-Agent": {"Browser/1"},
		"X-Forwarded-For": {"198.51.100.1"}, "X-Forwarded-Host": {"example.com"}, "X-Forwarded-Proto": {"https"}, "X-Sse-Channels": {"a:1,b"}, "X-Original-Method": {"GET"},
		"X-Original-Uri": {"/events?channel=a&last_event_id=1-1"},
	}
	if q.Method != http.MethodGet || q.RequestURI != "/may?app=1" || fmt.Sprint(q.Header) != fmt.Sprint(want) {
		t.Errorf("asked %s %s %v\nwant %v", q.Method, q.RequestURI, q.Header, want)
	}
}

func TestForwardAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		code   int
		header []string
		status int // of the refusal; 0: allowed
	}{
		"200":                    {200, nil, 0},
		"204":                    {204, nil, 0},
		"299":                    {299, nil, 0},
		"401":                    {401, []string{"WWW-Authenticate", `Cookie realm="x"`}, 401},
		"403":                    {403, nil, 403},
		"302":                    {302, []string{"Location", "/elsewhere"}, 503},
		"304":                    {304, nil, 503},
		"400":                    {400, nil, 503},
		"404":                    {404, nil, 503},
		"429":                    {429, nil, 503},
		"500":                    {500, nil, 503},
		"503":                    {503, nil, 503},
		"the channels":           {200, []string{headerAllowed, "a, b:*"}, 0},
		"the channels, lines":    {200, []string{headerAllowed, "a", headerAllowed, "b:*"}, 0},
		"one channel of two":     {200, []string{headerAllowed, "a"}, 403},
		"no channels":            {200, []string{headerAllowed, ""}, 403},
		"bad pattern":            {200, []string{headerAllowed, "a,b:***"}, 403},
		"bad pattern beside":     {200, []string{headerAllowed, "%,a,,b:*"}, 0},
		"lifetime":               {200, []string{headerLifetime, "60"}, 0},
		"lifetime 0":             {200, []string{headerLifetime, "0"}, 503},
		"lifetime negative":      {200, []string{headerLifetime, "-1"}, 503},
		"lifetime fraction":      {200, []string{headerLifetime, "1.5"}, 503},
		"lifetime text":          {200, []string{headerLifetime, "1h"}, 503},
		"lifetime empty":         {200, []string{headerLifetime, ""}, 503},
		"lifetime twice":         {200, []string{headerLifetime, "60", headerLifetime, "60"}, 503},
		"lifetime on a refusal":  {403, []string{headerLifetime, "x"}, 403},
		"huge header":            {200, []string{"X-Huge", strings.Repeat("x", 2*outbound.MaxResponseHeader)}, 503},
		"challenge that is huge": {401, []string{"WWW-Authenticate", strings.Repeat("x", maxChallenge+1)}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			url, asked := application(t, func(w http.ResponseWriter, _ *http.Request) {
				for i := 0; i < len(tc.header); i += 2 {
					w.Header().Add(tc.header[i], tc.header[i+1])
				}
				w.WriteHeader(tc.code)
			})
			a := newAuthorizer(t, Config{AuthURL: url})
			_, err := a.Authorize(withCookie("s=1"), []string{"a", "b:1"})
			if asked.Load() != 1 {
				t.Errorf("asked %d times", asked.Load())
			}
			if tc.status == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			r := refused(t, err, tc.status)
			if name == "401" && r.Challenge != `Cookie realm="x"` || name == "challenge that is huge" && r.Challenge != "" {
				t.Errorf("challenge %q", r.Challenge)
			}
		})
	}
}

func TestForwardLifetime(t *testing.T) {
	for value, want := range map[string]time.Duration{"60": time.Minute, "99999999999": maxLifetime, "99999999999999999999999": maxLifetime} {
		url, _ := application(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(headerLifetime, value) })
		a := newAuthorizer(t, Config{AuthURL: url})
		before := time.Now()
		g, err := a.Authorize(withCookie("s=1"), []string{"a"})
		if err != nil || g.Expires.Before(before.Add(want)) || g.Expires.After(time.Now().Add(want)) {
			t.Errorf("%s: %v, %v", value, g.Expires, err)
		}
	}
}

func TestForwardIsNotAskedAboutPublicChannels(t *testing.T) {
	url, asked := application(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) })
	a := newAuthorizer(t, Config{AuthURL: url, PublicChannels: []string{"p"}})
	if _, err := a.Authorize(withCookie("s=1"), []string{"p"}); err != nil || asked.Load() != 0 {
		t.Errorf("%v, asked %d times", err, asked.Load())
	}
}

func TestTokenComesBeforeForward(t *testing.T) {
	url, asked := application(t, func(http.ResponseWriter, *http.Request) {})
	a := newAuthorizer(t, Config{AuthURL: url, JWTSecret: Secret(testKeys.secret)})
	_, err := a.Authorize(bearer("bad"), []string{"other"})
	refused(t, err, 401)
	_, err = a.Authorize(bearer(signHS(t, claims())), []string{"other"})
	refused(t, err, 403)
	if _, err := a.Authorize(bearer(signHS(t, claims())), []string{"orders:1"}); err != nil {
		t.Error(err)
	}
	if asked.Load() != 0 {
		t.Errorf("asked %d times", asked.Load())
	}
	if _, err := a.Authorize(withCookie("s=1"), []string{"other"}); err != nil || asked.Load() != 1 {
		t.Errorf("without token: %v, asked %d times", err, asked.Load())
	}
}

func TestForwardFollowsNoRedirect(t *testing.T) {
	target, reached := application(t, func(http.ResponseWriter, *http.Request) {})
	for _, code := range []int{301, 302, 303, 307, 308} {
		url, _ := application(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, code) })
		_, err := newAuthorizer(t, Config{AuthURL: url}).Authorize(withCookie("s=1"), []string{"a"})
		refused(t, err, 503)
	}
	if reached.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestForwardUnreachable(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	url := s.URL + "/?key=hidden-key"
	s.Close()
	var log bytes.Buffer
	a, err := New(Config{AuthURL: url}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, err = a.Authorize(withCookie("s=1"), []string{"a"})
		if r := refused(t, err, 503); strings.Contains(r.Error(), "hidden-key") {
			t.Errorf("the error shows the URL's query: %v", r)
		}
	}
	if strings.Contains(log.String(), "hidden-key") || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("want one line without the key:\n%s", log.String())
	}
}

func TestForwardIsNotAskedForABadQuery(t *testing.T) {
	url, asked := application(t, func(http.ResponseWriter, *http.Request) {})
	a := newAuthorizer(t, Config{AuthURL: url, JWTSecret: Secret(testKeys.secret), JWTQueryParam: "token"})
	_, err := a.Authorize(request("/events?token=%zz"), []string{"a"})
	refused(t, err, 400)
	none := sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims())
	_, err = a.Authorize(request("/events?token="+none, "Cookie", "s=1"), []string{"a"})
	refused(t, err, 401)
	if asked.Load() != 0 {
		t.Error("the application was asked")
	}
}
