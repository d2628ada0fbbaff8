package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// event is what a browser would dispatch.
type event struct {
	id, name, data string
	at             time.Time
}

// client is a subscriber that reads by the event-stream format's own rules.
type client struct {
	status   int
	header   http.Header
	proto    int
	gzip     bool          // it came compressed, as Go's client asks for by itself
	events   chan event    // closed at the end
	comments atomic.Int64  // seen so far
	ended    chan struct{} // closed at the end
	cancel   context.CancelFunc

	// mu guards the rest.
	mu      sync.Mutex
	retries []time.Duration // as they came
	lastID  string
	endedAt time.Time
	partial string // what stood after the last empty line
	endErr  error  // io.EOF if the end was in order
}

// transport speaks one version of HTTP: 1, or 2 without TLS; with tls both as
// negotiated.
func transport(t *testing.T, version int, config *tls.Config) *http.Transport {
	p := new(http.Protocols)
	p.SetHTTP1(version == 1)
	p.SetUnencryptedHTTP2(version == 2 && config == nil)
	p.SetHTTP2(version == 2 && config != nil)
	tr := &http.Transport{Protocols: p, TLSClientConfig: config, DisableKeepAlives: version == 1}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// subscribe opens an event stream as a browser does. headers are pairs.
func subscribe(t *testing.T, rt http.RoundTripper, url string, headers ...string) *client {
	t.Helper()
	c, err := trySubscribe(t, rt, url, headers...)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return c
}

func trySubscribe(t *testing.T, rt http.RoundTripper, url string, headers ...string) (*client, error) {
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	slow := time.AfterFunc(patience, cancel)
	res, err := rt.RoundTrip(req)
	slow.Stop()
	if err != nil {
		cancel()
		return nil, err
	}
	c := &client{
		status: res.StatusCode, header: res.Header, proto: res.ProtoMajor, gzip: res.Uncompressed, cancel: cancel,
		events: make(chan event, 1<<16), ended: make(chan struct{}),
	}
	go c.read(res.Body)
	t.Cleanup(c.close)
	return c, nil
}

// close ends the client and waits for it.
func (c *client) close() {
	c.cancel()
	<-c.ended
}

// read parses the stream; only LF ends lines here, which is what the gateway
// writes.
func (c *client) read(body io.ReadCloser) {
	defer body.Close()
	defer close(c.ended)
	defer close(c.events)
	var e event
	var data []string
	var block strings.Builder
	for in := bufio.NewReader(body); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			c.mu.Lock()
			c.endedAt, c.partial, c.endErr = time.Now(), block.String()+line, err
			c.mu.Unlock()
			return
		}
		line = line[:len(line)-1]
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			block.Reset()
			if data != nil {
				e.data, e.at = strings.Join(data, "\n"), time.Now()
				c.events <- e
			}
			e, data = event{}, nil
			continue
		case field == "":
			c.comments.Add(1)
			continue
		case field == "data":
			data = append(data, value)
		case field == "event":
			e.name = value
		case field == "id":
			e.id = value
			c.mu.Lock()
			c.lastID = value
			c.mu.Unlock()
		case field == "retry":
			ms, _ := strconv.Atoi(value)
			c.mu.Lock()
			c.retries = append(c.retries, time.Duration(ms)*time.Millisecond)
			c.mu.Unlock()
			continue
		}
		block.WriteString(line + "\n")
	}
}

// next returns the next event.
func (c *client) next(t *testing.T) event {
	t.Helper()
	select {
	case e, ok := <-c.events:
		if !ok {
			t.Fatal("the stream ended")
		}
		return e
	case <-time.After(patience):
		t.Fatalf("no event within %v", patience)
	}
	return event{}
}

// nextNamed skips events until one with this name.
func (c *client) nextNamed(t *testing.T, name string) event {
	t.Helper()
	for {
		if e := c.next(t); e.name == name {
			return e
		}
	}
}

// ready takes the first frame off a stream.
func (c *client) ready(t *testing.T) *client {
	t.Helper()
	if e := c.next(t); e.name != "gateway.ready" || e.id == "" {
		t.Fatalf("the first event is %+v, want gateway.ready", e)
	}
	return c
}

// requireData takes the next event, which must have this data.
func (c *client) requireData(t *testing.T, data string) event {
	t.Helper()
	e := c.next(t)
	if e.data != data {
		t.Fatalf("got %+v, want data %q", e, data)
	}
	return e
}

// isOpen reports whether the stream has not ended.
func (c *client) isOpen() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// awaitEnd waits until the stream has ended and returns when it did.
func (c *client) awaitEnd(t *testing.T, within time.Duration) time.Time {
	t.Helper()
	select {
	case <-c.ended:
	case <-time.After(within):
		t.Fatalf("the stream is open after %v", within)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endedAt
}

// position is the last id that the client has seen.
func (c *client) position() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastID
}

// requirePassingRefusal checks that a URL tells an EventSource to come back
// later and others that it is unavailable.
func requirePassingRefusal(t *testing.T, rt http.RoundTripper, url string) {
	t.Helper()
	c := subscribe(t, rt, url)
	if c.status != http.StatusOK || !strings.HasPrefix(c.header.Get("Content-Type"), "text/event-stream") {
		t.Errorf("an EventSource gets %d %s, want 200 and an event stream", c.status, c.header.Get("Content-Type"))
	}
	c.awaitEnd(t, patience)
	if e, ok := <-c.events; ok {
		t.Errorf("the refusal has an event: %+v", e)
	}
	if len(c.retries) != 1 || c.retries[0] < 5*time.Second || c.retries[0] > 15*time.Second {
		t.Errorf("the refusal's retry is %v, want one of 5 to 15 s", c.retries)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("others get %s, Retry-After %q, want 503 with one", res.Status, res.Header.Get("Retry-After"))
	}
}
