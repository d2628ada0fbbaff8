package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// openProxied is openHealthy with a network between that can be broken.
func openProxied(t *testing.T, change func(*Config)) (*redistest.Server, *redistest.Proxy, *testStore) {
	t.Helper()
	srv := redistest.Start(t)
	proxy := redistest.StartProxy(t, srv.Addr())
	return srv, proxy, openHealthy(t, srv.URLAt(proxy.Addr()), change)
}

// openRelayed is openHealthy with a relay between that meddles with replies.
func openRelayed(t *testing.T) (*redistest.Server, *relay, *testStore) {
	t.Helper()
	srv := redistest.Start(t)
	relay := startRelay(t, srv.Addr())
	return srv, relay, openHealthy(t, srv.URLAt(relay.addr), nil)
}

// TestCut cuts all connections under load, again and again.
func TestCut(t *testing.T) {
	t.Parallel()
	srv, proxy, s := openProxied(t, func(c *Config) { c.WindowEvents = 8 })
	r := s.subscribe(t, "a")
	p := startPour(srv, "a")
	for range 4 {
		n := len(r.got)
		r.await("some events", func() bool { return len(r.got) > n+20 })
		proxy.Cut()
		proxy.Restore()
	}
	p.judge(t, srv, r, ID{})
	if s.sweepFinds() != 0 {
		t.Errorf("%d finds of the sweep", s.sweepFinds())
	}
}

// TestBlackhole has every connection go silent without an end: the session must
// find out by itself, and no sweep comes to its help.
func TestBlackhole(t *testing.T) {
	t.Parallel()
	srv, proxy, s := openProxied(t, nil)
	r := s.subscribe(t, "a")
	r.awaitID(srv.XAdd("sse:a", "data", "x"))
	opened := s.sessions()
	proxy.Blackhole()
	id := srv.XAdd("sse:a", "data", "y")
	// What goes wrong first is counted: the session's end.
	redistest.Eventually(t, patience, "the session to end", func() bool {
		return value(s.m.Store.RedisErrors.WithLabelValues("timeout"))+value(s.m.Store.RedisErrors.WithLabelValues("other"))+
			value(s.m.Store.RedisErrors.WithLabelValues("closed")) > 0
	})
	proxy.Clear()
	r.awaitID(id)
	s.awaitHealth(t, true)
	if s.sessions() == opened {
		t.Error("no new session")
	}
}

// TestSweep drops the invalidations, and nothing else: only the sweep can find
// what is new, and counts it.
func TestSweep(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	relay := startRelay(t, srv.Addr())
	s := openHealthy(t, srv.URLAt(relay.addr), func(c *Config) { c.SweepInterval = 500 * time.Millisecond })
	r, empty := s.subscribe(t, "a"), s.subscribe(t, "empty")
	for i := range 20 {
		id := srv.XAdd("sse:a", "data", fmt.Sprint(i))
		r.awaitID(id)
	}
	// Swept while it works, for several pings, a sweep finds nothing.
	settled := time.Now()
	redistest.Eventually(t, patience, "some probes", func() bool { return time.Since(settled) > 3*time.Second })
	if s.sweepFinds() != 0 {
		t.Fatalf("%d finds of the sweep", s.sweepFinds())
	}
	relay.dropInvalidations.Store(true)
	r.awaitID(srv.XAdd("sse:a", "data", "x"))
	empty.awaitID(srv.XAdd("sse:empty", "data", "x"))
	redistest.Eventually(t, patience, "the finds to be counted", func() bool { return s.sweepFinds() == 2 })
	if s.sessions() != 1 {
		t.Errorf("%d sessions", s.sessions())
	}
}

// TestLatency has a slow network between.
func TestLatency(t *testing.T) {
	t.Parallel()
	srv, proxy, s := openProxied(t, nil)
	r := s.subscribe(t, "a")
	proxy.Latency(150 * time.Millisecond)
	p := startPour(srv, "a")
	r.await("some events", func() bool { return len(r.got) > 300 })
	p.judge(t, srv, r, ID{})
	if s.sessions() != 1 {
		t.Errorf("%d sessions", s.sessions())
	}
}

// TestSlowNetwork has more to read than passes in the time of a reply.
func TestSlowNetwork(t *testing.T) {
	t.Parallel()
	srv, relay, s := openRelayed(t)
	r := s.subscribe(t, "a")
	r.awaitID(srv.XAdd("sse:a", "data", strings.Repeat("s", 2000)))
	r.got = nil
	relay.bytesPerSecond.Store(1 << 20)
	const n = 25
	ids := fill(t, srv.Client(), "sse:a", n, func(int) string { return strings.Repeat("x", 100_000) })
	r.awaitID(ids[n-1].String())
	wantIDs(t, "tail", r.got, ids)
}

// TestLargeReplies loses what is larger than expected, as if Redis took too long
// to answer: the tail and history ask for less, and get there.
func TestLargeReplies(t *testing.T) {
	t.Parallel()
	srv, relay, s := openRelayed(t)
	r := s.subscribe(t, "a")
	r.awaitID(srv.XAdd("sse:a", "data", "x"))
	settle(t, s, "a")
	r.got = nil
	src, timeouts := s.source("a"), s.m.Store.RedisErrors.WithLabelValues("timeout")
	const size, n = 10_000, 64
	relay.largestReply.Store(20 * size)
	observeSmall(&src.Size) // so that all of them are asked for at once
	ids := fill(t, srv.Client(), "sse:a", n, func(int) string { return strings.Repeat("x", size) })
	r.awaitID(ids[n-1].String())
	wantIDs(t, "tail", r.got, ids)
	if value(timeouts) == 0 || s.sessions() < 2 {
		t.Errorf("%v timeouts, %d sessions: the test is too weak", value(timeouts), s.sessions())
	}
	settle(t, s, "a")
	s.empty("a")
	observeSmall(&src.Size)
	observeSmall(&s.channel("a").pages)
	before := value(timeouts)
	r.at(ids[0].Prev()).drain()
	wantIDs(t, "history", r.got, ids)
	if value(timeouts) == before {
		t.Error("no reply to history was lost: the test is too weak")
	}
}

// observeSmall has a stream taken for one of small entries.
func observeSmall(e *redisstream.SizeEstimate) {
	for range 64 {
		e.Observe(1, 1900)
	}
}

// TestClientKill has an operator kill the tail's connection, or those of history.
// What a sweep finds in between is not blamed on Redis.
func TestClientKill(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.SweepInterval = 50 * time.Millisecond })
	r := s.subscribe(t, "a")
	p := startPour(srv, "a")
	for i := range 6 {
		n := len(r.got)
		r.await("some events", func() bool { return len(r.got) > n+10 })
		tracking, opened := i%2 == 0, s.sessions()
		if killed := srv.KillClients(func(c map[string]string) bool {
			return strings.Contains(c["flags"], "t") == tracking
		}); killed == 0 && tracking {
			t.Errorf("no connection to kill: %v", srv.ClientList())
		}
		if tracking {
			redistest.Eventually(t, patience, "another session", func() bool { return s.sessions() > opened })
		}
	}
	p.judge(t, srv, r, ID{})
	if s.sweepFinds() != 0 || s.sessions() < 4 {
		t.Errorf("%d finds of the sweep, %d sessions", s.sweepFinds(), s.sessions())
	}
}

// TestInvalidationOverflow has more invalidations than Redis buffers for a client
// that does not read: it is cut off, and the tail starts over.
func TestInvalidationOverflow(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, redistest.WithConfig("client-output-buffer-limit normal 40kb 40kb 1"))
	relay := startRelay(t, srv.Addr())
	s := openHealthy(t, srv.URLAt(relay.addr), nil)
	const channels = 300
	readers := make([]*reader, channels)
	for i := range readers {
		readers[i] = s.subscribe(t, fmt.Sprintf("%d-%s", i, strings.Repeat("n", 150)))
	}
	redistest.Eventually(t, patience, "the channels to be tracked", func() bool { return srv.Info("stats")["tracking_total_keys"] >= fmt.Sprint(channels) })
	opened := s.sessions()
	ids := make([]string, channels)
	pipe := srv.Client().TxPipeline() // so that all are announced at once
	for _, r := range readers {
		pipe.Do(context.Background(), "XADD", "sse:"+r.sub.Channel(), "*", "data", "x")
	}
	cmds, err := pipe.Exec(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range ids {
		ids[i] = strings.Fields(cmds[i].String())[len(strings.Fields(cmds[i].String()))-1]
		readers[i].awaitID(ids[i])
	}
	if s.sessions() == opened {
		t.Error("the connection was not cut off: the test is too weak")
	}
	if s.sweepFinds() != 0 {
		t.Errorf("%d finds of the sweep", s.sweepFinds())
	}
}
