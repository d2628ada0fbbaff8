package main

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/listener"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// answerPatience is how long an answer that is no stream may keep a place, with
// time to spare for a loaded machine.
const answerPatience = listener.AnswerTimeout + 10*time.Second

// Requests whose body never comes are answered, and keep nobody out for longer
// than an answer may take.
func TestHostileUnreadBodies(t *testing.T) {
	t.Parallel()
	const files = 200
	r := redistest.Start(t)
	p := startPlain(t, files, gatewayEnv(r.URL())...)
	p.awaitReady()
	cs := attack(t, p.public)
	start := time.Now()
	for i := range files {
		head := []string{
			"POST /events HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1\r\n\r\n",
			"GET /events?channel=%20 HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1\r\n\r\n",
			"PUT /nothing HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n",
			"POST /nothing HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100000\r\n\r\n",
		}[i%4]
		cs.open(head)
	}
	for i, c := range cs.all[:4] {
		_ = c.SetReadDeadline(time.Now().Add(answerPatience))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if want := []int{405, 400, 404, 404}[i]; err != nil || res.StatusCode != want {
			t.Errorf("request %d without its body is answered %v (%v), want %d", i, res, err, want)
		}
	}
	redistest.Eventually(t, answerPatience, "all are closed", func() bool { return cs.hungUp() == len(cs.all) })
	if d := time.Since(start); d < listener.AnswerTimeout/4 {
		t.Errorf("all were closed after %v already: by something else than the deadline", d)
	}
	c := dialSmall(t, p.public)
	defer c.Close()
	_, _ = io.WriteString(c, get("channel=a"))
	if code := status(c); code != http.StatusOK {
		t.Errorf("a new client is answered %d", code)
	}
}

// A stream of a request with a body, which nobody reads, outlives the deadline.
func TestStreamWithUnreadBody(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL())...)
	p.awaitReady()
	c := attack(t, p.public).open("GET /events?channel=a HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1\r\n\r\n")
	if code := status(c); code != http.StatusOK {
		t.Fatalf("it is answered %d", code)
	}
	p.awaitMetric(10*time.Second, 1, "sse_gateway_connections")
	old := time.After(listener.AnswerTimeout + time.Second)
	<-old
	if n := p.metric("sse_gateway_connections"); n != 1 {
		t.Errorf("%v streams are open after the deadline, want 1", n)
	}
}

// Answers over HTTP/2 to a client whose window is closed hold nothing for
// longer than an answer may take, and the streams of the same connection stay.
func TestHostileClosedWindow(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startPlain(t, 0, gatewayEnv(r.URL())...)
	p.awaitReady()
	base := p.metric("go_goroutines")
	cs := attack(t, p.public)
	const requests = 900
	var b strings.Builder
	b.WriteString(h2Preface + h2Frame(h2Settings, 0, 0, "\x00\x04\x00\x00\x00\x00"))
	for i := range requests {
		block := h2Request("channel=%20")
		if i%2 == 0 {
			block = strings.Replace(block, hpack(":path", "/events?channel=%20"), hpack(":path", "/nothing"), 1)
		}
		b.WriteString(h2Frame(h2Headers, h2EndStream|h2EndHeaders, uint32(2*i+1), block))
	}
	c := cs.open(b.String())
	go func() { _, _ = io.Copy(io.Discard, c) }()
	redistest.Eventually(t, 10*time.Second, "the answers to wait", func() bool { return p.metric("go_goroutines") >= base+requests })
	redistest.Eventually(t, answerPatience, "the answers to be given up", func() bool { return p.metric("go_goroutines") < base+20 })
	if n := p.metric("sse_gateway_connections"); n != 0 {
		t.Errorf("%v streams, want none", n)
	}
}
