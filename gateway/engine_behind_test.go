package gateway

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/sse/ssetest"
	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// A stream for which history has nothing yet, because Redis has less than the
// window and the tail cannot find out why, is a stream nevertheless: it has its
// heartbeats, and the end of its client is seen.
func TestHistoryOlderThanWindow(t *testing.T) {
	redis := redistest.Start(t)
	e := startEngine(t, redis, engineSetup{
		gateway: func(c *Config) { c.Heartbeat = 200 * time.Millisecond },
		store:   func(c *store.Config) { c.WindowEvents = 4 },
	})
	defer e.stop()
	keep := e.connect("a", clientSetup{})
	for i := range 50 {
		redis.Do("XADD", "sse:a", fmt.Sprintf("%d-0", 1000+i), "data", "x")
		keep.awaitMessages(i + 1) // so that nobody reads a page of history, which would be kept
	}
	// From here on the tail sees nothing, and then the stream is an older one.
	redis.Do("ACL", "SETUSER", "default", "-client|tracking")
	redis.KillClients(func(c map[string]string) bool { return strings.Contains(c["flags"], "t") })
	redis.Do("DEL", "sse:a")
	for i := range 3 {
		redis.Do("XADD", "sse:a", fmt.Sprintf("%d-0", 1000+i), "data", "x")
	}
	behind := e.connect("a", clientSetup{lastID: "1000-0"})
	behind.await("heartbeats", func() bool { return len(behind.Comments) >= 5 })
	if n := len(behind.messages()); n != 0 {
		t.Errorf("%d events of a stream that may be another one", n)
	}
	behind.reset()
	redistest.Eventually(t, enginePatience, "the stream to end", func() bool { return e.connections() == 1 })
	redis.Do("ACL", "SETUSER", "default", "+@all")
	keep.await("the reset", func() bool { return len(keep.named("gateway.gap")) > 0 })
}

// A channel whose history cannot be read does not keep the others of the
// connection from theirs: most of the time it is theirs.
func TestHistoryOfOneChannelFails(t *testing.T) {
	const events = 5000 // many pages
	for _, broken := range []string{"a", "b"} {
		t.Run(broken, func(t *testing.T) {
			redis := redistest.Start(t)
			e := startEngine(t, redis, engineSetup{store: func(c *store.Config) { c.WindowEvents = 4 }})
			defer e.stop()
			e.publishNumbers("a", 0, events, "x")
			e.publishNumbers("b", 0, events, "x")
			keep := e.connect("a,b", clientSetup{}) // the channels are open; nothing was read of them
			_, names, _ := strings.Cut(keep.Events[0].ID, "~")
			_, names, _ = strings.Cut(names, "~")
			fine := map[string]string{"a": "b", "b": "a"}[broken]
			redis.Do("ACL", "SETUSER", "default", "resetkeys", "~sse:"+fine)
			c := e.connect("a,b", clientSetup{lastID: "1-0~1-0~" + names})
			start := time.Now()
			c.awaitMessages(events)
			if n := len(c.messages()); n != events {
				t.Errorf("%d events although one channel's cannot be read", n)
			}
			most := int(time.Since(start)/time.Second) + 2
			if n := valueOfMetric(e.m.Store.HistoryReads.WithLabelValues("error")); n > most {
				t.Errorf("%d reads failed within %v, want at most %d", n, time.Since(start), most)
			}
			redis.Do("ACL", "SETUSER", "default", "~*")
			c.awaitMessages(2 * events)
		})
	}
}

// A channel with a long history does not keep another one from its own, which
// is shorter.
func TestHistoriesTakeTurns(t *testing.T) {
	const long, short = 5000, 300 // more than a page each
	for _, first := range []string{"a", "b"} {
		t.Run(first, func(t *testing.T) {
			redis := redistest.Start(t)
			e := startEngine(t, redis, engineSetup{store: func(c *store.Config) { c.WindowEvents = 4 }})
			defer e.stop()
			second := map[string]string{"a": "b", "b": "a"}[first]
			e.publishNumbers(first, 0, long, "long")
			e.publishNumbers(second, 0, short, "short")
			c := e.connect("a,b", clientSetup{query: "&replay=all"})
			c.awaitMessages(long + short)
			at := slices.IndexFunc(c.messages(), func(m ssetest.Event) bool { return m.Data == fmt.Sprint(short-1, " short") })
			if at > long/2 {
				t.Errorf("the last of %d events was the %dth", short, at)
			}
		})
	}
}

// History that cannot be read is asked for now and then, not with every event
// of another channel.
func TestFailedHistoryIsNotReadWithEveryEvent(t *testing.T) {
	redis := redistest.Start(t)
	e := startEngine(t, redis, engineSetup{store: func(c *store.Config) { c.WindowEvents = 100 }})
	defer e.stop()
	e.publishNumbers("a", 0, 200, "x")
	e.connect("a", clientSetup{}) // the channel is open; nothing was read of it
	c := e.connect("b", clientSetup{})
	redis.Do("ACL", "SETUSER", "default", "resetkeys", "~sse:b", "~sse:gateway.*")
	behind := e.connect("a,b", clientSetup{query: "&since=0"})
	failed := func() int { return valueOfMetric(e.m.Store.HistoryReads.WithLabelValues("error")) }
	redistest.Eventually(t, enginePatience, "a failed read", func() bool { return failed() > 0 })
	start, before := time.Now(), failed()
	for i := range 200 {
		e.publishNumbers("b", i, 1, "x")
		c.awaitMessages(i + 1)
	}
	behind.awaitMessages(200)
	most := int(time.Since(start)/(250*time.Millisecond)) + 2
	if n := failed() - before; n > most {
		t.Errorf("%d reads failed within %v, want at most %d", n, time.Since(start), most)
	}
	redis.Do("ACL", "SETUSER", "default", "~*")
	behind.awaitMessages(400)
}

// While Redis does not answer a read of history, a stream is looked after: it
// does not wait for that to be given up.
func TestHeartbeatsWhileHistoryHangs(t *testing.T) {
	redis := redistest.Start(t)
	e := startEngine(t, redis, engineSetup{
		gateway: func(c *Config) { c.Heartbeat = 200 * time.Millisecond },
		store:   func(c *store.Config) { c.WindowEvents = 4 },
	})
	defer e.stop()
	e.publishNumbers("a", 0, 50, "x")
	e.connect("a", clientSetup{}) // the channel is open; nothing was read of it
	redis.Pause()
	defer redis.Resume()
	c := e.connect("a", clientSetup{lastID: "1-0"})
	longest, last := time.Duration(0), time.Now()
	for i := range 5 {
		c.await("heartbeats", func() bool { return len(c.Comments) > i })
		longest, last = max(longest, time.Since(last)), time.Now()
	}
	// Redis is given up after 4 s and more.
	if longest > 3*time.Second {
		t.Errorf("there was no heartbeat for %v", longest)
	}
}
