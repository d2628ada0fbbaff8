package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
)

const (
	testSecret = "0123456789abcdef0123456789abcdef"
	appPage    = "https://app.example"
)

func withTokens(s *setup) {
	s.access = access.Config{PublicChannels: []string{"public:*"}, JWTSecret: testSecret, JWTCookie: "session", JWTQueryParam: "token"}
	s.cors = []string{appPage}
}

// token makes a token for channels that expires at a whole second.
func token(t testing.TB, expires time.Time, channels ...string) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"exp": expires.Unix(), "channels": channels}).SignedString([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t, withTokens)
	good, old := token(t, time.Now().Add(time.Hour), "user:1", "team:*"), token(t, time.Now().Add(-time.Minute), "user:1")
	for name, tc := range map[string]struct {
		query   string
		headers []string
		status  int
	}{
		"public without a token":        {"channel=public:a", nil, 200},
		"private without a token":       {"channel=user:1", nil, 401},
		"one of both without a token":   {"channel=user:1&channel=public:a", nil, 401},
		"a token":                       {"channel=user:1&channel=team:x&channel=public:a", []string{"Authorization", "Bearer " + good}, 200},
		"in the cookie":                 {"channel=user:1", []string{"Cookie", "session=" + good}, 200},
		"in the query":                  {"channel=user:1&token=" + good, nil, 200},
		"for another channel":           {"channel=user:2", []string{"Authorization", "Bearer " + good}, 403},
		"for one of them":               {"channel=user:1&channel=user:2", []string{"Authorization", "Bearer " + good}, 403},
		"out of date":                   {"channel=user:1", []string{"Authorization", "Bearer " + old}, 401},
		"bad, for a public channel":     {"channel=public:a", []string{"Authorization", "Bearer x"}, 401},
		"two different":                 {"channel=public:a&token=" + old, []string{"Authorization", "Bearer " + good}, 401},
		"good, for what is not a name":  {"channel=user:1,team:x", []string{"Authorization", "Bearer " + good}, 400},
		"a name that leaves its prefix": {"channel=team:../user:2", []string{"Authorization", "Bearer " + good}, 403},
	} {
		for _, proto := range []string{http11, h2c} {
			c := r.do(proto, r.request(tc.query, append(tc.headers, "Origin", appPage)...))
			if c.resp.StatusCode != tc.status {
				t.Errorf("%s: %s, want %d", name, c.resp.Status, tc.status)
			}
			h := c.resp.Header
			if h.Get("Access-Control-Allow-Origin") != appPage || h.Get("Access-Control-Allow-Credentials") != "true" {
				t.Errorf("%s: a page cannot read it: %v", name, h)
			}
			if (h.Get("Www-Authenticate") != "") != (tc.status == 401) {
				t.Errorf("%s: WWW-Authenticate %q", name, h.Get("Www-Authenticate"))
			}
			if tc.status == 200 {
				c.next()
				c.stop()
			} else if detail := checkProblem(t, c, tc.status); strings.Contains(detail, good) || strings.Contains(detail, old) {
				t.Errorf("%s: the answer has the token: %s", name, detail)
			}
		}
	}
	for reason, want := range map[string]float64{"unauthorized": 10, "forbidden": 6, "bad_request": 2} {
		if n := r.value("refusals_total", reason); n != want {
			t.Errorf("%v are refused as %s, want %v", n, reason, want)
		}
	}
	if text := r.log.String(); strings.Contains(text, good) || strings.Contains(text, old) {
		t.Error("a token is in the log")
	}
}

// lateMachine is how late something may be seen in a test that is due by a timer
// of the gateway: much less than the next heartbeat.
const lateMachine = 5 * time.Second

// tokenLife is how long the tokens last that end under a stream: so long that a loaded
// machine opens the streams before.
const tokenLife = 6 * time.Second

func TestStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, withTokens)
	expires := time.Now().Truncate(time.Second).Add(tokenLife)
	auth := []string{"Authorization", "Bearer " + token(t, expires, "a", "b")}
	var clients []*client
	var begin []time.Time
	for _, proto := range []string{http11, http11, http11, http11, h2c, h2c} {
		for _, query := range []string{"channel=a", "channel=a&channel=b"} {
			begin = append(begin, time.Now())
			c := r.do(proto, r.request(query, auth...))
			c.next()
			clients = append(clients, c)
		}
	}
	for i, c := range clients {
		at := c.end()
		// Somewhat late is the machine; a stream that is looked at with its next
		// heartbeat only would be later.
		if at.After(expires.Add(lateMachine)) || at.Before(begin[i].Add(expires.Sub(begin[i])*9/10-reactor.MaxLate)) {
			t.Errorf("it ended %v after the token did", at.Sub(expires))
		}
		if len(c.retries()) != 2 {
			t.Errorf("it ends with %q", c.tail())
		}
		c.nothingElse()
	}
	r.await(12, "disconnects_total", metrics.EndExpired)
}

func TestMaxAge(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *setup) { s.gateway.MaxConnectionAge = time.Second })
	begin := time.Now()
	for _, c := range []*client{r.subscribe("channel=a"), r.subscribe("channel=a&channel=b"), r.do(h2c, r.request("channel=a"))} {
		if d := c.end().Sub(begin); d < 800*time.Millisecond || d > 1200*time.Millisecond+lateMachine {
			t.Errorf("it ended after %v", d)
		}
	}
	r.await(3, "disconnects_total", metrics.EndMaxAge)
}

func TestCORS(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *setup) { s.cors = []string{appPage, "http://localhost:3000"} })
	for _, proto := range []string{http10, http11, h2c} {
		c := r.do(proto, r.request("channel=a", "Origin", appPage))
		want := streamHeaders()
		want["Access-Control-Allow-Origin"], want["Access-Control-Allow-Credentials"], want["Vary"] = appPage, "true", "Origin"
		want["Access-Control-Expose-Headers"] = "Retry-After"
		checkHeaders(t, c.resp.Header, want)
		c.next()
		c = r.do(proto, r.request("channel=a", "Origin", "https://evil.example"))
		want = streamHeaders()
		want["Vary"] = "Origin"
		checkHeaders(t, c.resp.Header, want)
		c = r.do(proto, r.request("channel=a,b", "Origin", appPage))
		if checkProblem(t, c, 400); c.resp.Header.Get("Access-Control-Allow-Origin") != appPage {
			t.Errorf("a page cannot read why it is refused: %v", c.resp.Header)
		}

		preflight := r.request("channel=a", "Origin", appPage, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization,cache-control,last-event-id")
		preflight.Method = http.MethodOptions
		c = r.do(proto, preflight)
		h := c.resp.Header
		if c.resp.StatusCode != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != appPage || h.Get("Access-Control-Allow-Methods") != "GET" ||
			h.Get("Access-Control-Allow-Headers") != "authorization,cache-control,last-event-id" || h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Access-Control-Max-Age") == "" {
			t.Errorf("preflight: %s %v", c.resp.Status, h)
		}
		for _, method := range []string{http.MethodPost, http.MethodOptions} { // not a preflight
			req := r.request("channel=a", "Origin", appPage)
			req.Method = method
			c = r.do(proto, req)
			if checkProblem(t, c, 405); c.resp.Header.Get("Allow") != "GET, OPTIONS" {
				t.Errorf("%s: Allow is %q", method, c.resp.Header.Get("Allow"))
			}
		}
		preflight.Header.Set("Origin", "https://evil.example")
		if c = r.do(proto, preflight); c.resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("preflight of a stranger: %v", c.resp.Header)
		}
	}
	if n := r.value("connections_opened_total"); n != 6 {
		t.Errorf("%v streams were opened: a preflight is none", n)
	}
}

func TestNoCORS(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.do(http11, r.request("channel=a", "Origin", appPage))
	checkHeaders(t, c.resp.Header, streamHeaders())
}

// The token ends while a read of history is waited for.
func TestStreamEndsWithItsTokenWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, withTokens, small)
	ids := r.publishN("a", 20)
	auth := []string{"Authorization", "Bearer " + token(t, time.Now().Add(time.Hour), "a")}
	r.subscribe("channel=a", auth...)
	r.redis.Pause()
	t.Cleanup(r.redis.Resume)
	expires := time.Now().Truncate(time.Second).Add(tokenLife)
	auth[1] = "Bearer " + token(t, expires, "a")
	query := []*client{
		r.do(http11, r.request("channel=a", append(auth, "Last-Event-ID", ids[0])...)),
		r.do(h2c, r.request("channel=a", append(auth, "Last-Event-ID", ids[0])...)),
	}
	for _, c := range query {
		c.next()
		if at := c.end(); at.After(expires.Add(lateMachine)) {
			t.Errorf("%s: it ended %v after the token did", c.resp.Proto, at.Sub(expires))
		}
	}
}

// A token also ends for a client that does not read.
func TestStreamOfASlowClientEndsWithItsToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, withTokens)
	// The replica has all events before the slow client comes, which opens no stream if
	// a read of them takes a loaded Redis too long.
	reader := r.subscribe("channel=a", "Authorization", "Bearer "+token(t, time.Now().Add(time.Hour), "a"))
	for i := range 10 {
		r.publish("a", fmt.Sprint(i)+string(make([]byte, 1_000_000)))
	}
	for range 10 {
		reader.next()
	}
	expires := time.Now().Truncate(time.Second).Add(tokenLife)
	r.send("GET /events?channel=a&replay=all HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token(t, expires, "a") + "\r\n\r\n")
	r.await(1, "disconnects_total", metrics.EndExpired)
	if late := time.Since(expires); late > 2*time.Second+lateMachine {
		t.Errorf("it ended %v after the token did", late)
	}
}
