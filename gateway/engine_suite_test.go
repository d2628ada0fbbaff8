package gateway

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access/pattern"
	"github.com/sse-gateway/sse-gateway/gateway/sse/ssetest"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// engineTest is something that every driver promises.
type engineTest struct {
	setup engineSetup
	run   func(*testing.T, *harness)
	// gzip and netHTTP say that the test is run compressed, and over net/http alone,
	// as well: the one or the other could break the promise.
	gzip, netHTTP bool
}

var engineSuite = map[string]engineTest{
	"order":                           {gzip: true, netHTTP: true, run: testOrder},
	"batch over the limit":            {gzip: true, run: testBatchOverLimit},
	"large among small":               {gzip: true, run: testLargeAmongSmall},
	"several channels":                {gzip: true, run: testSeveralChannels},
	"envelope":                        {gzip: true, run: testEnvelope},
	"large envelopes":                 {gzip: true, run: func(t *testing.T, e *harness) { testLargeEnvelopes(t, e, 0) }},
	"large envelopes, slow readers":   {gzip: true, setup: engineSetup{sendBuf: smallBuffer}, run: func(t *testing.T, e *harness) { testLargeEnvelopes(t, e, smallBuffer) }},
	"flush interval":                  {setup: engineSetup{gateway: func(c *Config) { c.FlushInterval = 200 * time.Millisecond }}, run: testFlushInterval},
	"latency":                         {run: testLatency},
	"max connections":                 {netHTTP: true, setup: engineSetup{gateway: func(c *Config) { c.MaxConnections = 3 }}, run: testMaxConnections},
	"heartbeat":                       {gzip: true, setup: engineSetup{gateway: func(c *Config) { c.Heartbeat = 600 * time.Millisecond }}, run: testHeartbeat},
	"no heartbeat when busy":          {setup: engineSetup{gateway: func(c *Config) { c.Heartbeat = 3 * time.Second }}, run: testNoHeartbeatWhenBusy},
	"grant expires":                   {setup: engineSetup{gateway: func(c *Config) { c.Access = grantAll(1200 * time.Millisecond) }}, run: testGrantExpires},
	"max age":                         {gzip: true, netHTTP: true, setup: engineSetup{gateway: func(c *Config) { c.MaxConnectionAge = 1500 * time.Millisecond }}, run: testMaxAge},
	"disconnects":                     {netHTTP: true, run: testDisconnects},
	"come at once":                    {netHTTP: true, setup: engineSetup{store: func(c *store.Config) { c.WindowLinger = 1 }}, run: testComeAtOnce},
	"garbage":                         {netHTTP: true, run: testGarbage},
	"drain":                           {gzip: true, netHTTP: true, setup: engineSetup{gateway: func(c *Config) { c.DrainWindow = time.Second }}, run: testDrain},
	"drain of a client that is stuck": {gzip: true, netHTTP: true, setup: engineSetup{sendBuf: smallBuffer}, run: testDrainStuck},
	"stop":                            {gzip: true, netHTTP: true, run: testStop},
	"stop while clients arrive":       {gzip: true, netHTTP: true, run: testStopWhileArriving},
	"write timeout":                   {gzip: true, netHTTP: true, setup: engineSetup{sendBuf: smallBuffer, gateway: func(c *Config) { c.WriteTimeout = 700 * time.Millisecond }}, run: testWriteTimeout},
	"reader that pauses":              {gzip: true, setup: engineSetup{sendBuf: smallBuffer, store: func(c *store.Config) { c.WindowEvents = 64 }}, run: testPausingReader},
	"slow readers":                    {gzip: true, netHTTP: true, setup: engineSetup{sendBuf: smallBuffer, store: func(c *store.Config) { c.WindowEvents = 32 }}, run: testSlowReaders},
}

// TestEngine holds both drivers to the same promises, with and without compression, and
// over both ways in.
func TestEngine(t *testing.T) {
	checkLeaks(t)
	redis := redistest.Start(t)
	t.Run("drivers", func(t *testing.T) {
		for name, test := range engineSuite {
			for _, noParking := range []bool{false, true} {
				runEngineTest(t, redis, driverName(noParking)+"/"+name, test, test.setup.withDriver(noParking))
				if test.gzip {
					setup := test.setup.withDriver(noParking)
					setup.gzip = true
					runEngineTest(t, redis, driverName(noParking)+", gzip/"+name, test, setup)
				}
				if test.netHTTP {
					setup := test.setup.withDriver(noParking)
					setup.netHTTP = true
					runEngineTest(t, redis, driverName(noParking)+", netHTTP/"+name, test, setup)
				}
			}
		}
	})
}

func runEngineTest(t *testing.T, redis *redistest.Server, name string, test engineTest, setup engineSetup) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		e := startEngine(t, redis, setup)
		test.run(t, e)
		e.stop()
		if n, parked := e.connections(), e.parked(); n != 0 || parked != 0 {
			t.Errorf("%d connections and %d parked ones are left", n, parked)
		}
	})
}

func driverName(noParking bool) string {
	if noParking {
		return "goroutine"
	}
	return "parked"
}

func (s engineSetup) withDriver(noParking bool) engineSetup {
	change := s.gateway
	s.gateway = func(c *Config) {
		c.noParking = noParking
		if change != nil {
			change(c)
		}
	}
	return s
}

// channelOf is a name for the channel of a test, which has the Redis not for
// itself.
func channelOf(t *testing.T) string {
	return "engine:" + strings.Map(func(r rune) rune {
		if pattern.ValidChannel(string(r)) {
			return r
		}
		return '_'
	}, t.Name())
}

func testOrder(t *testing.T, e *harness) {
	ch := channelOf(t)
	e.publish(ch, "before")
	clients := e.connectMany(20, ch)
	e.publishNumbers(ch, 0, 200, "x")
	for _, c := range clients {
		c.awaitMessages(200)
		c.checkNumbers(0, 200, "x")
	}
	// One who comes back goes on where it was, among those who stayed.
	back := e.connect(ch, clientSetup{lastID: clients[0].messages()[149].ID})
	back.awaitMessages(50)
	e.publishNumbers(ch, 200, 10, "x")
	back.awaitMessages(60)
	back.checkNumbers(150, 60, "x")
	e.awaitConnections(len(clients) + 1)
}

// An append of more than is written at once is delivered to its end, although
// nothing comes after it that would wake anybody.
func testBatchOverLimit(t *testing.T, e *harness) {
	ch := channelOf(t)
	padding := letters(48 << 10)
	a, b := e.connect(ch, clientSetup{}), e.connect(ch, clientSetup{query: "&envelope=json"})
	e.awaitConnections(2)
	data := make([]string, 12)
	for i := range data {
		data[i] = strconv.Itoa(i) + " " + padding
	}
	e.publish(ch, data...)
	a.awaitMessages(len(data))
	a.checkNumbers(0, len(data), padding)
	b.awaitMessages(len(data))
	e.awaitConnections(2)
}

// Large events, which are not part of the batch, keep their place among small
// ones, which are.
func testLargeAmongSmall(t *testing.T, e *harness) {
	ch := channelOf(t)
	clients := []*engineClient{e.connect(ch, clientSetup{}), e.connect(ch+","+ch+":2", clientSetup{})}
	e.awaitConnections(2)
	const largeFrame = 16 << 10 // is not copied for each stream
	sizes := []int{10, largeFrame, 20, 3, largeFrame + 7, 1, largeFrame * 2, 5}
	const n = 40
	pipe := e.redis.Client().TxPipeline() // the tail finds all of them at once
	for i := range n {
		pipe.Do(t.Context(), "XADD", "sse:"+ch, "*", "data", strconv.Itoa(i)+" "+letters(sizes[i%len(sizes)]))
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		c.awaitMessages(n)
		for i, m := range c.messages() {
			if numberOf(m) != i || len(m.Data) != len(strconv.Itoa(i))+1+sizes[i%len(sizes)] {
				t.Fatalf("message %d is %.20q of %d bytes", i, m.Data, len(m.Data))
			}
		}
	}
}

func testSeveralChannels(t *testing.T, e *harness) {
	x, y := channelOf(t)+":x", channelOf(t)+":y"
	c, only := e.connect(x+","+y, clientSetup{}), e.connect(y, clientSetup{})
	e.awaitConnections(2)
	for i := range 50 {
		e.publishNumbers(x, i, 1, "x")
		e.publishNumbers(y, i, 1, "y")
	}
	only.awaitMessages(50)
	only.checkNumbers(0, 50, "y")
	c.awaitMessages(100)
	// A client that went away after any of them gets exactly the rest.
	for _, at := range []int{0, 33, 98} {
		have := c.messages()
		back := e.connect(x+","+y, clientSetup{lastID: have[at].ID})
		back.awaitMessages(99 - at)
		checkInterleaved(t, append(have[:at+1:at+1], back.messages()...))
	}
}

// checkInterleaved fails unless the messages are 0 to 49 of x and of y, each in
// order.
func checkInterleaved(t *testing.T, messages []ssetest.Event) {
	t.Helper()
	next := map[string]int{}
	for _, m := range messages {
		_, of, _ := strings.Cut(m.Data, " ")
		if n := numberOf(m); n != next[of] {
			t.Fatalf("%d of %s came where %d should", n, of, next[of])
		}
		next[of]++
	}
	if len(next) != 2 || next["x"] != 50 || next["y"] != 50 {
		t.Fatalf("got %v, want 50 of x and of y", next)
	}
}

func testEnvelope(t *testing.T, e *harness) {
	ch := channelOf(t)
	c := e.connect(ch, clientSetup{query: "&envelope=json"})
	e.awaitConnections(1)
	e.publish(ch, "a\nb")
	c.awaitMessages(1)
	m := c.messages()[0]
	if want := fmt.Sprintf(`{"channel":%q,"id":%q,"event":"message","data":"a\nb"}`, ch, m.ID); m.Data != want {
		t.Errorf("got %s, want %s", m.Data, want)
	}
}

// Events of one interval are sent together, whatever the driver.
func testFlushInterval(t *testing.T, e *harness) {
	ch := channelOf(t)
	c := e.connect(ch, clientSetup{})
	e.awaitConnections(1)
	before := valueOfMetric(e.m.Gateway.Writes)
	const n = 100
	start := time.Now()
	for i := range n {
		e.publishNumbers(ch, i, 1, "x")
	}
	c.awaitMessages(n)
	c.checkNumbers(0, n, "x")
	redistest.Eventually(t, enginePatience, "the deliveries to be counted", func() bool {
		return valueOfMetric(e.m.Gateway.Namespaces.Of("").Deliveries) == n
	})
	took := time.Since(start)
	most := int(took/e.g.cfg.FlushInterval) + 2
	if writes := valueOfMetric(e.m.Gateway.Writes) - before; writes > most {
		t.Errorf("%d writes in %v, want at most %d", writes, took, most)
	}
}

// The latency of every event is measured, but not of those that a client has
// missed and gets when it comes.
func testLatency(t *testing.T, e *harness) {
	ch := channelOf(t)
	const before, live = 30, 10
	e.publishNumbers(ch, 0, before, "x")
	var clients []*engineClient
	for _, channels := range []string{ch, ch, ch, ch, ch, ch, ch + "," + ch + ":2"} { // some of them in one shard
		c := e.connect(channels, clientSetup{query: "&replay=all"})
		c.awaitMessages(before)
		clients = append(clients, c)
	}
	e.awaitConnections(len(clients))
	redistest.Eventually(t, enginePatience, "the deliveries to be counted", func() bool {
		return valueOfMetric(e.m.Gateway.Namespaces.Of("").Deliveries) == before*len(clients)
	})
	if n := e.latencies(); n != 0 {
		t.Errorf("the latency of %d old events was measured", n)
	}
	e.publishNumbers(ch, before, live, "x")
	for _, c := range clients {
		c.awaitMessages(before + live)
	}
	redistest.Eventually(t, enginePatience, "the latencies", func() bool { return e.latencies() == live*len(clients) })
}

func testMaxConnections(t *testing.T, e *harness) {
	ch := channelOf(t)
	first := e.connect(ch, clientSetup{})
	e.connect(ch, clientSetup{})
	e.connect(ch, clientSetup{})
	e.awaitConnections(3)
	if _, err := e.tryConnect(ch, clientSetup{}); err != (errRefused{503}) {
		t.Fatalf("the fourth of three connections: %v", err)
	}
	first.reset()
	e.awaitConnections(2)
	e.connect(ch, clientSetup{})
	e.awaitConnections(3)
	if n := valueOfMetric(e.m.Gateway.Refusals.WithLabelValues(metrics.RefusedMaxConnections)); n != 1 {
		t.Errorf("%d refusals were counted, want 1", n)
	}
}
