package gateway

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/sse/ssetest"
)

// The protocols that the public listener speaks without TLS.
const (
	http10 = "HTTP/1.0"
	http11 = "HTTP/1.1"
	h2c    = "HTTP/2.0"
)

func newH2Transport() *http.Transport {
	t := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	t.Protocols.SetUnencryptedHTTP2(true)
	return t
}

// subscriber of the tests: a response, and what of its body was read so far.
type client struct {
	t    testing.TB
	resp *http.Response
	stop func()
	conn *countedConn // nil for HTTP/2
	wire atomic.Int64 // bytes of the body that were read, as they came

	// mu guards what the reading goroutine writes.
	mu      sync.Mutex
	changed chan struct{} // closed and replaced when there is something new
	parser  ssetest.Parser
	raw     []byte
	ended   error // why there is no more
	endedAt time.Time

	taken int // events that next has returned
}

// request makes a GET of /events with headers as name, value, ….
func (r *rig) request(query string, headers ...string) *http.Request {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addr+"/events?"+query, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	for i := 0; i+1 < len(headers); i += 2 {
		if req.Header.Set(headers[i], headers[i+1]); headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	if r.gzip {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	return req
}

// do sends a request over a protocol and begins to read the answer's body.
func (r *rig) do(proto string, req *http.Request) *client {
	r.t.Helper()
	c := &client{t: r.t, changed: make(chan struct{})}
	var err error
	if proto == h2c {
		ctx, cancel := context.WithCancel(req.Context())
		c.stop = cancel
		c.resp, err = r.h2.RoundTrip(req.WithContext(ctx))
	} else {
		var conn net.Conn
		if conn, err = net.Dial("tcp", r.addr); err == nil {
			c.stop = func() { conn.Close() }
			c.conn = &countedConn{Conn: conn}
			c.resp, err = exchange(c.conn, proto, req)
		}
	}
	if err != nil {
		r.t.Fatalf("%s %s: %v", proto, req.URL, err)
	}
	var reading sync.WaitGroup
	reading.Go(c.read)
	r.t.Cleanup(func() {
		c.stop()
		reading.Wait()
		c.resp.Body.Close()
	})
	return c
}

// exchange writes a request by hand, so that nothing is added to it, and reads
// the head of the answer.
func exchange(conn net.Conn, proto string, req *http.Request) (*http.Response, error) {
	_ = conn.SetDeadline(time.Now().Add(patience))
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\r\nHost: %s\r\n", req.Method, req.URL.RequestURI(), proto, req.URL.Host)
	_ = req.Header.Write(&b)
	b.WriteString("\r\n")
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	_ = conn.SetDeadline(time.Time{})
	return resp, err
}

// subscribe opens a stream over HTTP/1.1 and takes its first frame.
func (r *rig) subscribe(query string, headers ...string) *client {
	r.t.Helper()
	c := r.do(http11, r.request(query, headers...))
	if c.resp.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %s", query, c.resp.Status)
	}
	if e := c.next(); e.Name != "gateway.ready" {
		r.t.Fatalf("%s: the first event is %+v", query, e)
	}
	return c
}

// countedConn counts what is read.
type countedConn struct {
	net.Conn
	n atomic.Int64
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// size returns how many bytes the server has sent, without the frames of HTTP/2.
func (c *client) size() int {
	if c.conn != nil {
		return int(c.conn.n.Load())
	}
	return int(c.wire.Load())
}

// Read implements io.Reader for what is to be decompressed.
func (c *client) Read(p []byte) (int, error) {
	n, err := c.resp.Body.Read(p)
	c.wire.Add(int64(n))
	return n, err
}

// decoded returns the body without its content coding, as it comes. It ends with io.EOF
// only if the end of the coding was there, and right.
func (c *client) decoded() io.Reader {
	if c.resp.Header.Get("Content-Encoding") != "gzip" {
		return c
	}
	r, err := gzip.NewReader(c)
	if err != nil {
		return iotest.ErrReader(err)
	}
	return r
}

func (c *client) read() {
	b := make([]byte, 32<<10)
	for body := c.decoded(); ; {
		n, err := body.Read(b)
		c.mu.Lock()
		c.parser.Feed(b[:n])
		c.raw = append(c.raw, b[:n]...)
		if err != nil {
			c.ended, c.endedAt = err, time.Now()
		}
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// until waits until cond, which may look at what was read, is true. It reports
// false if that takes too long or the stream has ended.
func (c *client) until(within time.Duration, cond func() bool) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		c.mu.Lock()
		done, ended, changed := cond(), c.ended != nil, c.changed
		c.mu.Unlock()
		if done || ended {
			return done
		}
		select {
		case <-changed:
		case <-timer.C:
			return false
		}
	}
}

// next returns the next event.
func (c *client) next() ssetest.Event {
	c.t.Helper()
	if !c.until(patience, func() bool { return len(c.parser.Events) > c.taken }) {
		c.t.Fatalf("no event after %d: %v\n%q", c.taken, c.ended, c.tail())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken++
	return c.parser.Events[c.taken-1]
}

// last returns the event that next returned last.
func (c *client) last() ssetest.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parser.Events[c.taken-1]
}

// retries returns the values of all retry fields so far.
func (c *client) retries() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parser.Retries
}

// expect takes events, which must have these data.
func (c *client) expect(data ...string) (last ssetest.Event) {
	c.t.Helper()
	for _, want := range data {
		if last = c.next(); last.Data != want {
			c.t.Fatalf("got %+v, want data %q", last, want)
		}
	}
	return last
}

// expectGap takes a gap event and compares its data.
func (c *client) expectGap(channel, after, resumed, reason string) ssetest.Event {
	c.t.Helper()
	e := c.next()
	want := fmt.Sprintf(`{"channel":%q,"after":%q,"resumed":%q,"reason":%q}`, channel, after, resumed, reason)
	if after == "" {
		want = strings.Replace(want, `"after":""`, `"after":null`, 1)
	}
	if e.Name != "gateway.gap" || e.Data != want || !json.Valid([]byte(e.Data)) {
		c.t.Fatalf("got %+v, want a gap with %s", e, want)
	}
	return e
}

// end waits for the end of the stream, and returns when that was.
func (c *client) end() time.Time {
	c.t.Helper()
	if c.until(patience, func() bool { return c.ended != nil }); c.ended == nil {
		c.t.Fatalf("the stream does not end: %q", c.tail())
	}
	if !errors.Is(c.ended, io.EOF) {
		c.t.Errorf("the stream ended with %v", c.ended)
	}
	return c.endedAt
}

// nothingElse says that there are no more events than those that were taken,
// and nothing in the stream that a browser would ignore.
func (c *client) nothingElse() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.parser.Events) != c.taken || len(c.parser.Ignored) > 0 {
		c.t.Errorf("there is more: %+v %q", c.parser.Events[c.taken:], c.parser.Ignored)
	}
}

func (c *client) tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.raw[max(0, len(c.raw)-500):])
}
