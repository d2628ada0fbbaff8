package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
	redis.Do("ACL", "SETUSER", "default", "-subscribe", "resetchannels")
	redis.Do("CLIENT", "KILL", "TYPE", "pubsub")
	redis.Do("DEL", "sse:a")
	for i := range 3 {
		redis.Do("XADD", "sse:a", fmt.Sprintf("%d-0", 1000+i), "data", "x")
	}
	behind := e.connect("a", clientSetup{lastID: "1000-0"})
	behind.await("heartbeats", func() bool { return len(behind.comments) >= 5 })
	if n := len(behind.messages()); n != 0 {
		t.Errorf("%d events of a stream that may be another one", n)
	}
	behind.reset()
	redistest.Eventually(t, enginePatience, "the stream to end", func() bool { return e.connections() == 1 })
	redis.Do("ACL", "SETUSER", "default", "+@all", "allchannels")
	keep.await("the reset", func() bool { return len(keep.named("gateway.gap")) > 0 })
}

// A channel whose history cannot be read does not keep the others of the
// connection from theirs.
func TestHistoryOfOneChannelFails(t *testing.T) {
	for _, broken := range []string{"a", "b"} {
		t.Run(broken, func(t *testing.T) {
			redis := redistest.Start(t)
			e := startEngine(t, redis, engineSetup{store: func(c *store.Config) { c.WindowEvents = 4 }})
			defer e.stop()
			e.publishNumbers("a", 0, 50, "x")
			e.publishNumbers("b", 0, 50, "x")
			keep := e.connect("a,b", clientSetup{}) // the channels are open; nothing was read of them
			_, names, _ := strings.Cut(keep.events[0].id, "~")
			_, names, _ = strings.Cut(names, "~")
			fine := map[string]string{"a": "b", "b": "a"}[broken]
			redis.Do("ACL", "SETUSER", "default", "resetkeys", "~sse:"+fine)
			c := e.connect("a,b", clientSetup{lastID: "1-0~1-0~" + names})
			c.awaitMessages(50)
			if n := len(c.messages()); n != 50 {
				t.Errorf("%d events although one channel's cannot be read", n)
			}
			redis.Do("ACL", "SETUSER", "default", "~*")
			c.awaitMessages(100)
		})
	}
}
