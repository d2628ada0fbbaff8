package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// publishEnd adds an entry that ends the channel, with further fields or none.
func (r *rig) publishEnd(channel string, fields ...any) (id string) {
	r.t.Helper()
	args := append([]any{"XADD", "sse:" + channel, "*", "gateway.end", "1"}, fields...)
	return r.redis.Do(args...).(string)
}

// expectEnd takes a gateway.end.
func (c *client) expectEnd(channel, position string) {
	c.t.Helper()
	e := c.next()
	if e.Name != "gateway.end" || e.Data != fmt.Sprintf(`{"channel":%q}`, channel) || e.ID != position {
		c.t.Fatalf("got %+v, want the end of %s at %s", e, channel, position)
	}
}

// checkEnded says that a request is answered 204.
func checkEnded(t *testing.T, r *rig, proto, query string, header ...string) {
	t.Helper()
	c := r.do(proto, r.request(query, header...))
	if text := c.body(); c.resp.StatusCode != http.StatusNoContent || text != "" || c.resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s, %s %v: %s %v %q", proto, query, header, c.resp.Status, c.resp.Header, text)
	}
}

// TestEndOfChannel ends a channel under clients of every kind: each gets the data,
// the end, and the end of the response. Who comes back is answered 204, until the
// channel goes on.
func TestEndOfChannel(t *testing.T) {
	t.Parallel()
	for what, fields := range map[string][]any{"alone": nil, "with data": {"data", "done"}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			first := r.publish("a", "x")
			var clients []*client
			for _, proto := range []string{http10, http11, h2c} {
				for _, query := range []string{"channel=a", "channel=a&envelope=json", "channel=a&deliver=latest"} {
					clients = append(clients, r.do(proto, r.request(query)))
				}
			}
			for _, c := range clients {
				c.next() // it is ready
			}
			end := r.publishEnd("a", fields...)
			for _, c := range clients {
				if fields != nil {
					if e := c.next(); !strings.Contains(e.Data, "done") || e.ID != end {
						t.Errorf("got %+v, want what the publisher says at the end", e)
					}
				}
				c.expectEnd("a", end)
				c.end()
				c.nothingElse()
				if len(c.retries()) != 1 {
					t.Errorf("a client that need not come back is told when: %q", c.tail())
				}
			}
			r.await(float64(len(clients)), "disconnects_total", "end")
			before := r.value("refusals_total", "ended")
			for _, proto := range []string{http10, http11, h2c} {
				checkEnded(t, r, proto, "channel=a", "Last-Event-ID", end)
				checkEnded(t, r, proto, "channel=a")
				checkEnded(t, r, proto, "channel=a@"+end)
			}
			if n := r.value("refusals_total", "ended") - before; n != 9 {
				t.Errorf("%v refusals are counted, want 9", n)
			}
			// Who has not got all of it gets the rest, and the end.
			for _, query := range []string{"channel=a&last_event_id=" + first, "channel=a&replay=all"} {
				c := r.subscribe(query)
				if strings.Contains(query, "replay") {
					c.expect("x")
				}
				if fields != nil {
					c.expect("done")
				}
				c.expectEnd("a", end)
				c.end()
			}
			r.publish("a", "more")
			c := r.subscribe("channel=a", "Last-Event-ID", end)
			c.expect("more")
			c.nothingElse()
		})
	}
}

// TestEndOfSeveralChannels ends channels one by one: the response ends with the last.
func TestEndOfSeveralChannels(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i, proto := range []string{http11, h2c} {
		a, b := fmt.Sprint("a", i), fmt.Sprint("b", i)
		names, both := sse.Signature([]string{a, b}), "channel="+a+"&channel="+b
		r.publish(a, "1")
		second := r.publish(b, "1")
		c := r.do(proto, r.request(both))
		c.next()
		end := r.publishEnd(a)
		c.expectEnd(a, end+"~"+second+"~"+names)
		last := r.publish(b, "goes on")
		if e := c.next(); e.Data != "goes on" || e.ID != end+"~"+last+"~"+names {
			t.Errorf("got %+v", e)
		}
		// One that goes on after its end is told again when it ends again.
		r.publish(a, "reopened")
		c.expect("reopened")
		end = r.publishEnd(a, "data", "again")
		c.expect("again")
		c.expectEnd(a, end+"~"+last+"~"+names)
		// A client that comes now is told of the one that has ended.
		late := r.do(proto, r.request(both))
		late.next()
		late.expectEnd(a, end+"~"+last+"~"+names)
		endB := r.publishEnd(b)
		for _, c := range []*client{c, late} {
			c.expectEnd(b, end+"~"+endB+"~"+names)
			c.end()
		}
		checkEnded(t, r, proto, both, "Last-Event-ID", end+"~"+endB+"~"+names)
	}
}

// TestEndOfUnknownPosition tells a client whose position is not understood of that
// before it tells of the end.
func TestEndOfUnknownPosition(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	end := r.publishEnd("a", "data", "x")
	c := r.do(http11, r.request("channel=a", "Last-Event-ID", "junk"))
	c.expectGap("a", "", end, "unknown_id")
	c.next()
	c.expectEnd("a", end)
	c.end()
}

// TestReopenedBehindTheTail has a client come back to a channel that went on after its
// end, at a replica that has not heard of it: the client is not sent away for good.
func TestReopenedBehindTheTail(t *testing.T) {
	t.Parallel()
	polled := redistest.Start(t, redistest.WithConfig("rename-command HELLO NOHELLO")) // no tracking
	r := newRig(t, func(s *setup) { s.store.PollInterval, s.store.RedisURL = time.Hour, polled.URL() })
	r.redis = polled
	for i, proto := range []string{http10, http11, h2c} {
		a, b := fmt.Sprint("a", i), fmt.Sprint("b", i)
		end, endB := r.publishEnd(a), r.publishEnd(b)
		r.subscribe("channel=" + a + "&channel=" + b + "&replay=all").end() // the replica has seen the ends
		r.publish(a, "more")
		c := r.do(proto, r.request("channel="+a+"@"+end+"&channel="+b+"@"+endB))
		c.next() // it is ready
		c.expect("more")
		checkEnded(t, r, proto, "channel="+b+"@"+endB)
	}
}

// TestFinalAnswersCostLittle has clients ask again and again after an answer that is
// final, which some do for ever. Redis is read for none of them, and the log has no
// line. Who asks when the channel goes on gets the rest at once.
func TestFinalAnswersCostLittle(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *setup) {
		s.access = access.Config{PublicChannels: []string{"a*"}, JWTSecret: testSecret}
	})
	for what, c := range map[string]struct {
		query, token string
		status       int
	}{
		"ended":            {"channel=a", "", http.StatusNoContent},
		"no token":         {"channel=private", "", http.StatusUnauthorized},
		"an expired token": {"channel=private", token(t, time.Now().Add(-time.Hour), "private"), http.StatusUnauthorized},
	} {
		end := r.publishEnd("a", "data", "x")
		ask := func() {
			header := []string{"Last-Event-ID", end}
			if c.token != "" {
				header = append(header, "Authorization", "Bearer "+c.token)
			}
			answer := r.do(http11, r.request(c.query, header...))
			if answer.body(); answer.resp.StatusCode != c.status {
				t.Errorf("%s: %s", what, answer.resp.Status)
			}
		}
		ask() // whoever comes first may find a replica that does not follow the channel
		stats, lines, begun := r.redis.Commandstats(), r.log.linesAbove(slog.LevelDebug), time.Now()
		const atOnce, times = 20, 10
		var all sync.WaitGroup
		for range atOnce {
			all.Go(func() {
				for range times {
					ask()
				}
			})
		}
		all.Wait()
		after := r.redis.Commandstats()
		probes := int64(2 + time.Since(begun)/(700*time.Millisecond)) // of the tail, whoever asks
		for command, most := range map[string]int64{"xinfo|stream": 0, "xrevrange": 0, "xrange": probes} {
			if n := after[command] - stats[command]; n > most {
				t.Errorf("%s: %d times %s for %d answers", what, n, command, atOnce*times)
			}
		}
		if n := after["exec"] - stats["exec"]; n > 0 && c.status != http.StatusNoContent {
			t.Errorf("%s: %d round trips to Redis", what, n)
		}
		if more := r.log.linesAbove(slog.LevelDebug) - lines; more > 0 {
			t.Errorf("%s: %d lines in the log", what, more)
		}
	}
	for i := range 20 {
		channel := fmt.Sprint("a", i)
		end := r.publishEnd(channel)
		checkEnded(t, r, http11, "channel="+channel, "Last-Event-ID", end)
		checkEnded(t, r, http11, "channel="+channel, "Last-Event-ID", end)
		r.publish(channel, "more")
		c := r.subscribe("channel="+channel, "Last-Event-ID", end)
		c.expect("more")
		c.stop()
	}
}

// TestLatest publishes a burst to a stream that keeps one entry: every client ends
// with the newest, without a gap. Who comes back gets it if it has not got it.
func TestLatest(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	first := r.publish("a", "before")
	var clients []*client
	for _, proto := range []string{http11, h2c} {
		clients = append(clients, r.do(proto, r.request("channel=a&deliver=latest")),
			r.do(proto, r.request("channel=a&deliver=latest&envelope=json")), r.do(proto, r.request("channel=a&channel=b&deliver=latest")))
	}
	for _, c := range clients {
		c.next()
	}
	pipe := r.redis.Client().Pipeline()
	const n = 1_000
	for i := range n {
		pipe.Do(context.Background(), "XADD", "sse:a", "MAXLEN", 1, "*", "data", fmt.Sprint("value ", i))
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		t.Fatal(err)
	}
	newest := fmt.Sprint("value ", n-1)
	for _, c := range clients {
		for e := c.next(); !strings.Contains(e.Data, newest); e = c.next() {
			if e.Name != "message" {
				t.Fatalf("got %+v", e)
			}
		}
		c.nothingElse()
	}
	if gaps := r.value("gaps_total"); gaps != 0 {
		t.Errorf("%v gaps", gaps)
	}
	back := r.subscribe("channel=a&deliver=latest", "Last-Event-ID", first)
	back.expect(newest)
	back.nothingElse()
	r.subscribe("channel=a&deliver=latest", "Last-Event-ID", back.last().ID).nothingElse()
	current := r.subscribe("channel=a&deliver=latest&replay=all")
	current.expect(newest)
}

// TestHeartbeatEvents gives clients that ask for it heartbeats that they can see.
func TestHeartbeatEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *setup) { s.gateway.Heartbeat = 100 * time.Millisecond })
	for _, proto := range []string{http10, http11, h2c} {
		c := r.do(proto, r.request("channel=a&heartbeat=event"))
		c.next()
		for range 3 {
			e := c.next()
			var at time.Time
			var err error
			if text, ok := strings.CutPrefix(e.Data, `{"time":"`); ok {
				at, err = time.Parse(time.RFC3339, strings.TrimSuffix(text, `"}`))
			}
			if e.Name != "gateway.ping" || e.ID != c.firstID() || err != nil || time.Since(at).Abs() > patience {
				t.Errorf("%s: got %+v, %v", proto, e, err)
			}
		}
		if n := c.heartbeats(); n > 0 {
			t.Errorf("%s: %d comments besides", proto, n)
		}
	}
}

// firstID returns the id of the first event.
func (c *client) firstID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parser.Events[0].ID
}

// TestLatestOfASlowClient has a client that does not read under a ticker that does not
// stop: it ends with the newest, without a gap, and Redis is asked for none of what it
// has missed, though all of it has left the window.
func TestLatestOfASlowClient(t *testing.T) {
	t.Parallel()
	t.Run("plain", func(t *testing.T) { testLatestOfASlowClient(t, false) })
	t.Run("gzip", func(t *testing.T) { testLatestOfASlowClient(t, true) })
}

func testLatestOfASlowClient(t *testing.T, gzip bool) {
	redis := redistest.Start(t)
	e := startEngine(t, redis, engineSetup{sendBuf: smallBuffer, gzip: gzip, store: func(c *store.Config) { c.WindowEvents = 4 }})
	c := e.connect("a", clientSetup{query: "&deliver=latest", recvBuf: smallBuffer})
	e.awaitConnections(1)
	reads := func() int { return valueOfMetric(e.m.Store.HistoryReads.WithLabelValues("read")) }
	before, stats := reads(), redis.Commandstats()
	// The socket takes none of these whole; then all but the newest leave the window.
	const n = 20
	padding := letters(256 << 10)
	e.publishNumbers("a", 0, 1, padding)
	redistest.Eventually(t, enginePatience, "the client's socket to be full", func() bool { return !e.parks() || e.parked() == 0 })
	e.publishNumbers("a", 1, n-1, padding)
	// Not before, or the client, which reads from now on, keeps up with the tail.
	redistest.Eventually(t, enginePatience, "the tail to have read all", func() bool {
		return valueOfMetric(e.m.Store.EventsRead.WithLabelValues(metrics.SourceTail)) == n
	})
	c.await("the newest", func() bool {
		all := c.messages()
		return len(all) > 0 && numberOf(all[len(all)-1]) == n-1
	})
	if got := len(c.messages()); got == n {
		t.Error("the client was not slow: this test shows nothing")
	}
	if gaps := c.named("gateway.gap"); len(gaps) > 0 {
		t.Errorf("a gap: %+v", gaps[0])
	}
	after := redis.Commandstats()
	if more, back := reads()-before, after["xrevrange"]-stats["xrevrange"]; more > 0 || back > 0 {
		t.Errorf("%d reads of history, %d of them backwards", more, back)
	}
}
