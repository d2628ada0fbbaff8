package gateway

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzConnection: whatever arrives on a connection, the answer is a response
// that a client can read, or the end of the connection; never a panic, and
// others are served.
func FuzzConnection(f *testing.F) {
	r := newRig(f)
	r.publish("a", "x")
	for _, raw := range r.seeds() {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkAnswer(t, raw, r.say(t, raw, ""))
		r.noPanics(t)
	})
}

// seeds are where FuzzConnection begins.
func (r *rig) seeds() []string {
	return []string{
		get("channel=a"), get("channel=a&since=0", "Last-Event-ID: 1-1"), get("channel=a&channel=b&envelope=json&replay=2"), get("channel=%zz"),
		get("channel=a", "Accept: text/event-stream", "Origin: https://app.example", "X-Forwarded-For: 1.2.3.4, junk"),
		get("channel=a", "Content-Length: 5") + "hello", get("channel=a", "Transfer-Encoding: chunked") + "zz\r\n",
		get("channel=a", "Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), get("channel=a") + get("channel=b"),
		"OPTIONS /events HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: GET\r\n\r\n",
		"HEAD /events?channel=a HTTP/1.1\r\nHost: x\r\n\r\n", "POST /events HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
		"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "GET /events?channel=a\r\n", "\r\n\r\n", "\x16\x03\x01",
		string(h2Preface) + string(h2Settings()) + string(h2Get(1, r.addr, "/events?channel=a")), string(h2Preface) + string(h2Settings()) + string(h2Reset(1)),
	}
}

// testSeeds is FuzzConnection without the fuzzing, for a way in that is not fuzzed.
func testSeeds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, raw := range r.seeds() {
		checkAnswer(t, []byte(raw), r.say(t, []byte(raw), ""))
	}
}

// FuzzEvents is the same for well-formed requests with hostile content.
func FuzzEvents(f *testing.F) {
	r := newRig(f, func(s *setup) { s.cors = []string{"*"} })
	r.publish("a", "x")
	for _, query := range []string{"channel=a", "channel=a&replay=all", "channel=a&channel=b&since=10m", "channel=a&envelope=json&last_event_id=1-1", "%", "channel=a;b", ""} {
		f.Add("GET", query, "1-1", "text/event-stream", "https://app.example")
		f.Add("OPTIONS", query, "", "*/*", "null")
	}
	f.Fuzz(func(t *testing.T, method, query, id, accept, origin string) {
		raw := method + " /events?" + query + " HTTP/1.1\r\nHost: x\r\nLast-Event-ID: " + id + "\r\nAccept: " + accept + "\r\nOrigin: " + origin + "\r\n\r\n"
		status := checkAnswer(t, []byte(raw), r.say(t, []byte(raw), ""))
		if clean := http.MethodGet == method && !strings.ContainsAny(query+id+accept+origin, "\r\n \x00"); clean && status >= 500 && status != http.StatusServiceUnavailable {
			t.Errorf("%q is answered with %d", raw, status)
		}
		r.noPanics(t)
	})
}

// checkServing says that the server still serves: who was there before, and who
// comes now.
func checkServing(t *testing.T, r *rig, honest ...*client) {
	t.Helper()
	for _, proto := range []string{http11, h2c} {
		c := r.do(proto, r.request("channel=honest"))
		c.next()
		honest = append(honest, c)
		defer c.stop()
	}
	r.publish("honest", "served")
	for _, c := range honest {
		c.expect("served")
	}
}
