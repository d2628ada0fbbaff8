package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/gateway/sse/ssetest"
)

// say writes raw bytes, waits for some text if it is not empty, closes the
// sending half, which ends a stream, and returns all that came back. It fails
// if the server neither answers nor closes.
func (r *rig) say(t *testing.T, raw []byte, text string) (got []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	// The server may answer and close before it has taken everything.
	_, _ = conn.Write(raw)
	b := make([]byte, 4096)
	for !bytes.Contains(got, []byte(text)) {
		n, err := conn.Read(b)
		if got = append(got, b[:n]...); err != nil {
			break
		}
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	more, err := io.ReadAll(conn)
	got = append(got, more...)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Fatalf("no end of the answer %.200q to %.200q", got, raw)
	}
	return got
}

// isHTTP2 reports whether an answer is frames of HTTP/2: it begins with
// SETTINGS, of stream 0.
func isHTTP2(got []byte) bool {
	return len(got) >= 9 && got[3] == 4 && bytes.Equal(got[5:9], make([]byte, 4))
}

// checkAnswer says that an answer is a response that a client can read, or
// none.
func checkAnswer(t *testing.T, raw, got []byte) (status int) {
	t.Helper()
	if len(got) == 0 {
		return 0
	}
	if bytes.HasPrefix(raw, []byte("PRI * HTTP/2.0\r\n\r\n")) && isHTTP2(got) {
		return 0
	}
	method, _, _ := strings.Cut(string(raw[:min(len(raw), 10)]), " ")
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(got)), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.300q is answered with %.300q: %v", raw, got, err)
	}
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusOK && errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // the client left in the middle of the stream
	}
	if err != nil || resp.StatusCode < 200 || resp.StatusCode > 599 {
		t.Fatalf("%.300q is answered with %s and %.100q: %v", raw, resp.Status, body, err)
	}
	if resp.StatusCode == http.StatusOK && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		if p := ssetest.Parse(body, len(body)); len(p.Ignored) > 0 || len(p.Retries) == 0 {
			t.Fatalf("%.300q is answered with the stream %.300q", raw, body)
		}
	}
	return resp.StatusCode
}

// get makes the text of a request for events.
func get(query string, headers ...string) string {
	return "GET /events?" + query + " HTTP/1.1\r\nHost: x\r\n" + strings.Join(append(headers, "", ""), "\r\n")
}

func TestHostileRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	last := r.publish("a", "x")
	manyChannels := strings.Repeat("channel=a&", 9_999) + "channel=a"
	for name, tc := range map[string]struct {
		raw    string
		status int // 0: any response, or none
		want   string
	}{
		"16 kB of headers":                {get("channel=a", strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 16)+"X: y"), 200, "gateway.ready"},
		"one of 16 kB":                    {get("channel=a", "X-A: "+strings.Repeat("a", 16<<10)), 200, "gateway.ready"},
		"40 kB of headers":                {get("channel=a", strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 40)+"X: y"), 431, ""},
		"one of 40 kB":                    {get("channel=a", "X-A: "+strings.Repeat("a", 40<<10)), 431, ""},
		"a cookie of 40 kB":               {get("channel=a", "Cookie: "+strings.Repeat("a=b; ", 8<<10)), 431, ""},
		"8,000 headers":                   {get("channel=a", strings.Repeat("A: b\r\n", 8_000)+"X: y"), 431, ""},
		"a URL of 30 kB":                  {get("channel=" + strings.Repeat("a", 30<<10)), 400, "1 to 200"},
		"a URL of 1 MB":                   {get("channel=" + strings.Repeat("a", 1<<20)), 431, ""},
		"10,000 parameters":               {get(strings.Repeat("a&", 10_000) + "channel=a"), 400, "malformed"},
		"3,000 repeated parameters":       {get(strings.Repeat("channel=a&", 3_000)), 200, "gateway.ready"},
		"more than fit":                   {get(manyChannels), 431, ""},
		"2,000 channels":                  {get(thousands(2)), 400, "2000 channels: at most 32"},
		"repeated since":                  {get("channel=a&since=0&since=junk"), 200, `data: x`},
		"an id of 20 kB":                  {get("channel=a", "Last-Event-ID: "+strings.Repeat("1~", 10<<10)), 200, "unknown_id"},
		"two ids":                         {get("channel=a", "Last-Event-ID: junk", "Last-Event-ID: "+last), 200, "unknown_id"},
		"an id of other channels":         {get("channel=a&channel=b", "Last-Event-ID: "+last+"~0-0~"+sse.Signature([]string{"a", "secret"})), 200, "unknown_id"},
		"an id with control characters":   {get("channel=a", "Last-Event-ID: 1-0\x01"), 400, ""},
		"an id that is not UTF-8":         {get("channel=a", "Last-Event-ID: \xff\xfe"), 200, "unknown_id"},
		"a header that ends the head":     {get("channel=a%0d%0a%0d%0aGET%20/metrics"), 400, `\\r\\n`},
		"a request with a body":           {get("channel=a", "Content-Length: 5") + "hello", 200, "gateway.ready"},
		"with a body in chunks":           {get("channel=a", "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n", 200, "gateway.ready"},
		"with a body that never comes":    {get("channel=a", "Content-Length: 100000"), 200, "gateway.ready"},
		"with a broken body":              {get("channel=a", "Transfer-Encoding: chunked") + "zz\r\n", 200, "gateway.ready"},
		"with both kinds of length":       {get("channel=a", "Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n", 0, ""},
		"with two lengths":                {get("channel=a", "Content-Length: 5", "Content-Length: 6") + "hello", 400, ""},
		"that expects to continue":        {get("channel=a", "Content-Length: 5", "Expect: 100-continue"), 200, "gateway.ready"},
		"that expects a miracle":          {get("channel=a", "Expect: miracle"), 417, ""},
		"an upgrade to a WebSocket":       {get("channel=a", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"), 200, "gateway.ready"},
		"an upgrade to HTTP/2":            {get("channel=a", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), 200, "gateway.ready"},
		"a range":                         {get("channel=a", "Range: bytes=0-1"), 200, "gateway.ready"},
		"no host":                         {"GET /events?channel=a HTTP/1.1\r\n\r\n", 400, ""},
		"two hosts":                       {"GET /events?channel=a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, ""},
		"a space before the colon":        {"GET /events?channel=a HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400, ""},
		"a folded header":                 {"GET /events?channel=a HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 0, ""},
		"line ends of LF":                 {"GET /events?channel=a HTTP/1.1\nHost: a\n\n", 200, "gateway.ready"},
		"an absolute URL":                 {"GET http://elsewhere.example/events?channel=a HTTP/1.1\r\nHost: a\r\n\r\n", 200, "gateway.ready"},
		"a fragment":                      {"GET /events?channel=a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, `\"a#b\"`},
		"a tunnel":                        {"CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n", 404, ""},
		"a method of its own":             {"GÉT /events HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
		"HTTP/0.9":                        {"GET /events?channel=a\r\n", 400, ""},
		"HTTP/3":                          {"GET /events?channel=a HTTP/3.0\r\nHost: a\r\n\r\n", 505, ""},
		"nothing":                         {"", 0, ""},
		"half a request":                  {"GET /events?channel=a HTT", 0, ""},
		"TLS":                             {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 0, ""},
		"Redis":                           {"*1\r\n$4\r\nPING\r\n", 400, ""},
		"PROXY protocol":                  {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get("channel=a"), 400, ""},
		"half the preface of HTTP/2":      {"PRI * HTTP/2.0\r\n\r\nSM", 0, ""},
		"the preface of HTTP/2 and junk":  {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\xff", 1000), 0, ""},
		"OPTIONS *":                       {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200, ""},
		"everything at once, percent-enc": {get("%63hannel=%61&%00=%00&=&&&=x"), 200, "gateway.ready"},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.say(t, []byte(tc.raw), tc.want)
			if status := checkAnswer(t, []byte(tc.raw), got); tc.status != 0 && status != tc.status || !bytes.Contains(got, []byte(tc.want)) {
				t.Errorf("the answer is %.300q, want %d with %q", got, tc.status, tc.want)
			}
		})
	}
	r.await(0, "connections")
	r.noPanics(t)
}

func thousands(n int) string {
	var b strings.Builder
	for i := range n * 1000 {
		fmt.Fprintf(&b, "channel=%d&", i)
	}
	return b.String()
}

// What is pipelined behind the request for a stream is no request: the
// connection is the stream's. Before it, it is.
func TestPipelinedRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn := r.send(get("") + get("channel=a", "X: 1") + get("channel=b", "X: 2") + "junk\r\n\r\n" + strings.Repeat("x", 30_000))
	in := bufio.NewReader(conn)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	first, err := http.ReadResponse(in, nil)
	if err != nil || first.StatusCode != http.StatusBadRequest {
		t.Fatalf("%+v, %v", first, err)
	}
	_, _ = io.Copy(io.Discard, first.Body)
	second, err := http.ReadResponse(in, nil)
	if err != nil || second.StatusCode != http.StatusOK {
		t.Fatalf("%+v, %v", second, err)
	}
	p := &ssetest.Parser{}
	r.publish("b", "of b")
	r.publish("a", "of a")
	for b := make([]byte, 1000); len(p.Events) < 2; {
		n, err := second.Body.Read(b)
		if p.Feed(b[:n]); err != nil {
			t.Fatalf("%v after %+v", err, p.Events)
		}
	}
	if p.Events[0].Name != "gateway.ready" || p.Events[1].Data != "of a" || len(p.Events) != 2 || len(p.Ignored) > 0 {
		t.Errorf("got %+v %q", p.Events, p.Ignored)
	}
	r.await(1, "connections")
}

// What a client sends on its stream does not matter: not to the stream, nor to
// others. One that sends without end is cut.
func TestChattyClients(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	chatty, honest := r.send(get("channel=a")), r.subscribe("channel=a")
	r.await(2, "connections_opened_total")
	for range 20 {
		if _, err := io.WriteString(chatty, "x\r\n\r\n"+get("channel=b")); err != nil {
			t.Fatal(err)
		}
		r.publish("a", "y")
		honest.expect("y")
	}
	in := bufio.NewReader(chatty)
	_ = chatty.SetDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &ssetest.Parser{}
	for b := make([]byte, 1000); len(p.Events) < 21; {
		n, err := resp.Body.Read(b)
		if p.Feed(b[:n]); err != nil {
			t.Fatalf("%v after %d events", err, len(p.Events))
		}
	}
	flood := make([]byte, 1<<20)
	for range 100 {
		if _, err := chatty.Write(flood); err != nil {
			break
		}
		r.publish("a", "y")
		honest.expect("y")
	}
	honest.nothingElse()
}
