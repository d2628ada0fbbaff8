package clients

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// fault is something that happens to a stream.
type fault int

const (
	none    fault = iota
	roll          // gateways are stopped by SIGTERM, and started again
	kill          // gateways are killed, and started again
	redis         // Redis drops the gateways' connections
	refusal       // a request is refused for the moment
	large         // an event of 100 KiB
)

// client is one way to use a client, and what is to be expected of it. README's
// table is made of these.
type client struct {
	name string
	how  string // it is used

	start           func(context.Context, *reader) // nil: a page of the browser runs it
	browser, driver string
	module          string // of the driver, by its URL; "" is /native.mjs

	failsAt fault  // the first that it does not survive
	why     string // it does not

	again string // the final answers after which it asks again, for ever
}

var clients = []client{
	{name: "EventSource of Chromium", how: "as it is", browser: "chromium", driver: "native"},
	{name: "EventSource of Firefox ESR", how: "as it is", browser: "firefox", driver: "native"},
	{name: "node-eventsource of Debian", how: "as it is", start: startNodeEventsource},
	{name: "curl", how: "in a loop that keeps the last id, `testdata/curl.sh`", start: startCurl},
	{name: "curl --compressed", how: "likewise", start: startCurlCompressed},
	{name: "fetch of Node", how: "with [sse.mjs](../examples/pages/sse.mjs)", start: startFetch},
	{name: "launchdarkly/eventsource", how: "with `StreamOptionErrorHandler` (or the channel `Errors` read), and `StreamOptionCanRetryFirstConnection`", start: startLaunchdarkly, again: "204 401"},
	{name: "donovanhide/eventsource", how: "as it is", start: startDonovanhide, again: "204 401"},
	{name: "tmaxmax/go-sse", how: "as its README says", start: startTmaxmax, failsAt: large,
		why: "its buffer has 64 KiB unless it is told otherwise, and it fails at the same event again and again"},
	{name: "tmaxmax/go-sse", how: "with `Connection.Buffer` over SSE_MAX_EVENT_BYTES", start: startTmaxmaxLarge},
	{name: "r3labs/sse", how: "as its README says", start: startR3labs, failsAt: roll,
		why: "it takes the orderly end of a response for the end of the subscription"},
	{name: "r3labs/sse", how: "`Subscribe` in a loop, with `ClientMaxBufferSize` over SSE_MAX_EVENT_BYTES; an event without data is a `retry:` alone", start: startR3labsLoop, again: "204 401"},
}

// TestClients tries all clients at once: at a gateway that compresses what it sends to
// those that accept it, and through HAProxy, which has that one and a plain one behind it.
// Whoever comes through HAProxy is at either for a while: both are rolled.
func TestClients(t *testing.T) { testClients(t, clients) }

func testClients(t *testing.T, list []client) {
	f := newFixture(t)
	s := startSubscribers(t, f, list)
	stop := f.publish()
	s.caughtUp(none, "to be connected")

	for _, g := range f.gateways {
		g.roll()
		s.caughtUp(roll, "after a gateway was rolled")
	}
	for _, g := range f.gateways {
		g.crash()
		s.caughtUp(kill, "after a gateway was killed")
	}
	if n := f.redis.KillClients(func(map[string]string) bool { return true }); n == 0 {
		t.Error("no connection to Redis was cut")
	}
	s.caughtUp(redis, "after Redis dropped its connections")
	f.app.refusing.Store(true)
	for _, g := range f.gateways {
		g.roll()
	}
	s.refused()
	f.app.refusing.Store(false)
	s.caughtUp(refusal, "after a refusal")

	stop()
	s.caughtUp(large, "the large event")
	for _, sub := range s.all {
		switch {
		case sub.failsAt == none:
			sub.check(int(f.sent.Load()))
		case sub.fault != "":
			t.Errorf("%s: %s", sub.reader.name, sub.fault)
		case sub.last() >= s.mark[sub.failsAt]:
			t.Errorf("%s has survived what it is said not to", sub.reader.name)
		}
	}
}

// subscriber is a client at one address.
type subscriber struct {
	client
	*reader
}

type subscribers struct {
	f    *fixture
	all  []subscriber
	mark map[fault]int // what had been published when a fault was over
}

func startSubscribers(t *testing.T, f *fixture, list []client) *subscribers {
	t.Helper()
	s := &subscribers{f: f, mark: map[fault]int{}}
	pages := pages{}
	for _, c := range list {
		for way, addr := range map[string]string{"directly": f.gateways[0].addr, "through HAProxy": f.balancer} {
			r := newReader(t, c.name+", "+c.how+", "+way, addr, "channel=numbers&replay=all")
			s.all = append(s.all, subscriber{c, r})
			pages.start(c, r)
		}
	}
	pages.open(t, f.app)
	return s
}

// caughtUp waits until all clients that are to survive the fault have got what
// was published before now and a little after.
func (s *subscribers) caughtUp(after fault, what string) {
	s.f.t.Helper()
	mark := int(s.f.sent.Load())
	if after != large {
		mark += 2
	}
	s.mark[after] = mark // of the last of several: who is at another gateway is cut later
	s.await(after, what, func(sub subscriber) bool { return sub.last() >= mark })
}

// refused waits until every client has been refused.
func (s *subscribers) refused() {
	s.f.t.Helper()
	s.await(refusal, "to be refused", func(sub subscriber) bool { return s.f.app.refusals(sub.reader.name) > 0 })
}

// await waits until cond is true of all clients that are to survive the fault.
func (s *subscribers) await(after fault, what string, cond func(subscriber) bool) {
	s.f.t.Helper()
	var late []string
	if !redistest.Poll(patience, func() bool {
		late = late[:0]
		for _, sub := range s.all {
			if !sub.fails(after) && !cond(sub) {
				late = append(late, sub.reader.name)
			}
		}
		return len(late) == 0
	}) {
		s.f.t.Fatalf("waited %v for clients %s: %q", patience, what, late)
	}
}

// fails reports whether the client is not there any more after the fault.
func (c *client) fails(after fault) bool { return c.failsAt != none && c.failsAt <= after }

func startNodeEventsource(_ context.Context, r *reader) {
	startProcess(r.t, []string{"NODE_PATH=/usr/share/nodejs"}, r.jsonMessage,
		redistest.Command(r.t, "node", "nodejs"), "testdata/node-eventsource.cjs", r.url)
}

func startCurl(_ context.Context, r *reader) { runCurl(r) }

func startCurlCompressed(_ context.Context, r *reader) { runCurl(r, "--compressed") }

func runCurl(r *reader, options ...string) {
	redistest.Command(r.t, "curl", "curl")
	startProcess(r.t, nil, r.message, "bash", append([]string{"testdata/curl.sh", r.url}, options...)...)
}

func startFetch(_ context.Context, r *reader) {
	startProcess(r.t, nil, r.jsonMessage, redistest.Command(r.t, "node", "nodejs"), "testdata/fetch.mjs", r.url)
}

// jsonMessage takes a line of a process that prints data as JSON.
func (r *reader) jsonMessage(line string) {
	var data string
	if err := json.Unmarshal([]byte(line), &data); err != nil {
		r.t.Errorf("%s: %v", r.name, err)
	}
	r.message(data)
}
