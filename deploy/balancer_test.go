package deploy_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/deploy/proxytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// starter starts a load balancer in front of stubs, with the given time after which
// a silent stream counts as dead.
type starter func(t *testing.T, stubs []*stub, idle time.Duration) proxytest.Proxy

// TestProxies runs every proxy with the configuration that is shipped.
func TestProxies(t *testing.T) {
	t.Parallel()
	for name, start := range proxytest.Starters() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testBalancer(t, func(t *testing.T, stubs []*stub, idle time.Duration) proxytest.Proxy {
				return start(t, idle, gatewaysOf(stubs)...)
			})
		})
	}
}

// gatewaysOf returns the stubs' addresses.
func gatewaysOf(stubs []*stub) (gateways []proxytest.Gateway) {
	for _, s := range stubs {
		gateways = append(gateways, proxytest.Gateway{Public: s.public.Listener.Addr().String(), Admin: s.admin.Listener.Addr().String()})
	}
	return gateways
}

// stream is an open event stream.
type stream struct {
	*http.Response
	data  chan string   // the data of each event; closed at the end
	beats atomic.Int64  // heartbeats so far
	end   chan struct{} // closed at the end
}

// transport speaks one version of HTTP and keeps no connection.
func transport(version int) *http.Transport {
	p := new(http.Protocols)
	p.SetHTTP1(version == 1)
	p.SetUnencryptedHTTP2(version == 2)
	return &http.Transport{Protocols: p, DisableKeepAlives: true}
}

// get asks for an event stream as a browser does, and claims to come from
// elsewhere.
func get(t *testing.T, url string, version int, accept string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/events?channel=orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("X-Forwarded-For", "192.0.2.66")
	res, err := transport(version).RoundTrip(req)
	if err != nil {
		cancel()
		t.Fatalf("GET %s: %v", url, err)
	}
	t.Cleanup(func() {
		cancel()
		res.Body.Close()
	})
	return res
}

// subscribe opens a stream and returns it with the name of its stub.
func subscribe(t *testing.T, url string, version int) (*stream, string) {
	t.Helper()
	s := &stream{Response: get(t, url, version, "text/event-stream"), data: make(chan string, 16), end: make(chan struct{})}
	if s.StatusCode != http.StatusOK {
		t.Fatalf("subscribe: %s", s.Status)
	}
	go func() {
		defer close(s.end)
		defer close(s.data)
		for in := bufio.NewScanner(s.Body); in.Scan(); {
			if d, ok := strings.CutPrefix(in.Text(), "data: "); ok {
				s.data <- d
			}
			if in.Text() == ":" {
				s.beats.Add(1)
			}
		}
	}()
	return s, s.next(t)
}

// next is the data of the next event.
func (s *stream) next(t *testing.T) string {
	t.Helper()
	select {
	case d, ok := <-s.data:
		if !ok {
			t.Fatal("the stream ended")
		}
		return d
	case <-time.After(patience):
		t.Fatalf("no event within %v: something holds it back", patience)
	}
	return ""
}

// startStubs starts three stubs.
func startStubs(t *testing.T, heartbeat time.Duration) []*stub {
	t.Helper()
	_, admin, err := net.SplitHostPort(redistest.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	var stubs []*stub
	for _, n := range []string{"1", "2", "3"} {
		// Each has an address of its own, so that all can have the same admin port.
		stubs = append(stubs, startStub(t, "gateway-"+n, heartbeat, "127.0.0."+n, admin))
	}
	return stubs
}

// testBalancer holds what every load balancer in front of gateways has to do.
func testBalancer(t *testing.T, start starter) {
	t.Run("nothing is held back", func(t *testing.T) { testAtOnce(t, start) })
	t.Run("a client's end reaches the gateway", func(t *testing.T) { testClientLeaves(t, start) })
	t.Run("only heartbeats keep a stream", func(t *testing.T) { testIdle(t, start) })
	t.Run("a gateway that is gone is passed by", func(t *testing.T) { testPassedBy(t, start) })
	t.Run("a slow client slows its gateway down", func(t *testing.T) { testSlowClient(t, start) })
	t.Run("without gateways", func(t *testing.T) { testNoGateway(t, start) })
	t.Run("a gateway's own refusal passes", func(t *testing.T) { testRefusal(t, start) })
}

func testAtOnce(t *testing.T, start starter) {
	stubs := startStubs(t, 0)
	lb := start(t, stubs, time.Minute)
	for version, url := range map[int]string{1: lb.HTTP1, 2: lb.HTTP2} {
		s, _ := subscribe(t, url, version)
		if s.ProtoMajor != version {
			t.Errorf("%s, want HTTP/%d", s.Proto, version)
		}
		// Each event must arrive before the next is sent, however small it is.
		for i := range 3 {
			event := "event " + strconv.Itoa(i)
			for _, g := range stubs {
				g.publish(event)
			}
			if got := s.next(t); got != event {
				t.Errorf("HTTP/%d: got %q, want %q", version, got, event)
			}
		}
	}
	// The client's claim about its address is replaced by what is seen.
	for _, g := range stubs {
		if f, ok := g.forwarded.Load().([]string); ok && strings.Join(f, ", ") != "127.0.0.1" {
			t.Errorf("%s: X-Forwarded-For: %v, want 127.0.0.1 only", g.name, f)
		}
	}
}

func testClientLeaves(t *testing.T, start starter) {
	const heartbeat = 300 * time.Millisecond
	stubs := startStubs(t, heartbeat)
	lb := start(t, stubs, time.Minute)
	if lb.SeesLeave { // then it needs no heartbeat to see it
		for _, s := range stubs {
			s.heartbeat.Store(0)
		}
	}
	s, name := subscribe(t, lb.HTTP1, 1)
	s.Body.Close()
	for _, g := range stubs {
		if g.name == name {
			redistest.Eventually(t, patience, "the gateway sees that its client left", func() bool { return g.open() == 0 })
		}
	}
}

func testIdle(t *testing.T, start starter) {
	// A stub that stands still for all of idle but a heartbeat's time would end
	// the stream that is to live.
	const idle, often = 6 * time.Second, 20
	alive, _ := subscribe(t, start(t, startStubs(t, idle/often), idle).HTTP1, 1)
	silent, _ := subscribe(t, start(t, startStubs(t, 0), idle).HTTP1, 1)
	select {
	case <-silent.end:
	case <-time.After(patience):
		t.Error("a stream without heartbeats was kept: the timeout does not work")
	}
	redistest.Eventually(t, patience, "heartbeats for longer", func() bool {
		select {
		case <-alive.end:
			t.Fatalf("a stream was ended after %d heartbeats", alive.beats.Load())
		default:
		}
		return alive.beats.Load() > often*3/2
	})
}

// A load balancer that takes from the gateway what the client does not take
// (nginx: proxy_buffering) hides from it that the client is slow: it could not
// cut one that is stuck, and would fill the load balancer's disk instead.
func testSlowClient(t *testing.T, start starter) {
	stubs := startStubs(t, 0)
	for _, s := range stubs {
		s.flooding.Store(true)
	}
	flooded := func() (n int64) {
		for _, s := range stubs {
			n += s.flooded.Load()
		}
		return n
	}
	lb := start(t, stubs, time.Minute)
	if !lb.Throttles {
		return // it says so, and how to bound it
	}
	res := get(t, lb.HTTP1, 1, "text/event-stream")
	// Nothing is read. What fits into the buffers on the way is taken, no more.
	const standstill = 500 * time.Millisecond
	var taken int64
	var since time.Time
	redistest.Eventually(t, patience, "the gateway can write no more", func() bool {
		if now := flooded(); now != taken {
			taken, since = now, time.Now()
		}
		return taken > 0 && time.Since(since) >= standstill
	})
	if taken >= floodLimit {
		t.Fatalf("%d bytes were taken from the gateway for a client that read none", taken)
	}
	// And once the client reads, it goes on.
	go func() { _, _ = io.Copy(io.Discard, res.Body) }()
	redistest.Eventually(t, patience, "the gateway goes on", func() bool { return flooded() > taken })
}

func testPassedBy(t *testing.T, start starter) {
	stubs := startStubs(t, 0)
	lb := start(t, stubs, time.Minute)
	// Gone between two health checks: no client may notice.
	stubs[1].public.Close()
	stubs[1].admin.Close()
	for range 6 {
		if _, name := subscribe(t, lb.HTTP1, 1); name == "gateway-2" {
			t.Error("gateway-2 answered, which is gone")
		}
	}
}

func testNoGateway(t *testing.T, start starter) {
	stubs := startStubs(t, 0)
	lb := start(t, stubs, time.Minute)
	for _, s := range stubs {
		s.public.Close()
		s.admin.Close()
	}
	for version, url := range map[int]string{1: lb.HTTP1, 2: lb.HTTP2} {
		// A browser would give up for good on any status but 200.
		res := get(t, url, version, "text/event-stream")
		if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
			t.Errorf("HTTP/%d: EventSource gets %s, %s", version, res.Status, res.Header.Get("Content-Type"))
		}
		requireRetry(t, res.Body)
		if res := get(t, url, version, "*/*"); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
			t.Errorf("HTTP/%d: others get %s, Retry-After %q", version, res.Status, res.Header.Get("Retry-After"))
		}
	}
}

// requireRetry checks that a body is one retry field of 5 to 15 s and no event.
func requireRetry(t *testing.T, body io.Reader) {
	t.Helper()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(string(b), "retry: ")
	ms, err := strconv.Atoi(strings.TrimSuffix(text, "\n"))
	if !ok || err != nil || ms < 5000 || ms >= 15000 {
		t.Errorf("body is %q, want retry of 5 to 15 s", b)
	}
}

func testRefusal(t *testing.T, start starter) {
	stubs := startStubs(t, 0)
	lb := start(t, stubs, time.Minute)
	for _, s := range stubs {
		s.refusing.Store(true)
	}
	res := get(t, lb.HTTP1, 1, "application/json")
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusServiceUnavailable || !strings.HasPrefix(string(body), "refused by gateway-") {
		t.Errorf("got %s %q, want the gateway's own answer", res.Status, body)
	}
	// All refuse: that has to be told to a browser so that it comes back.
	res = get(t, lb.HTTP1, 1, "text/event-stream")
	if kind := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		t.Errorf("EventSource gets %s, %s", res.Status, kind)
	}
	requireRetry(t, res.Body)
}
