package deploy_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestRedisRightsSuffice holds the rights in users.acl to what the gateway does
// on each kind of Redis: whatever it is refused is in Redis's own log.
func TestRedisRightsSuffice(t *testing.T) {
	t.Parallel()
	name, password := demoUser(t, "gateway")
	login := name + ":" + password + "@"
	var users []redistest.Option
	for _, m := range regexp.MustCompile(`(?m)^user (.*)$`).FindAllStringSubmatch(read(t, "redis/users.acl"), -1) {
		users = append(users, redistest.WithUser(m[1]))
	}
	t.Run("one server", func(t *testing.T) {
		s := redistest.Start(t, users...)
		useEverything(t, "redis://"+login+s.Addr(), s.Client(), nil)
		requireNothingDenied(t, s)
	})
	t.Run("Sentinel", func(t *testing.T) {
		master := redistest.Start(t, users...)
		g := redistest.StartSentinel(t, "main", master, 1)
		useEverything(t, "redis+sentinel://"+login+strings.Join(g.Addrs(), ",")+"/0?master=main", master.Client(), nil)
		useEverything(t, "redis+sentinel://"+login+strings.Join(g.Addrs(), ",")+"/0?master=main", master.Client(), nil, "SSE_REDIS_READ=replica")
		requireNothingDenied(t, append(g.Servers(), g.Nodes()...)...)
		if n := g.Servers()[1].Commandstats()["xrange"]; n == 0 {
			t.Error("the replica was not read from")
		}
	})
	t.Run("replicas of a Cluster", func(t *testing.T) {
		c := redistest.StartCluster(t, 3, 1, users...)
		// A replica that has never had anything is not named.
		for i := range 12 {
			c.XAdd(fmt.Sprint("sse:filler", i), "data", "x")
		}
		redistest.Eventually(t, time.Minute, "the cluster to name its replicas", func() bool {
			for _, n := range c.Nodes() { // the gateway may ask any of them
				ranges, _ := n.Do("CLUSTER", "SLOTS").([]any)
				for _, r := range ranges {
					if nodes := r.([]any)[2:]; len(nodes) < 2 {
						return false
					}
				}
				if len(ranges) != 3 {
					return false
				}
			}
			return true
		})
		useEverything(t, "redis+cluster://"+login+strings.Join(c.Addrs(), ","), c.Client(), nil, "SSE_REDIS_READ=replica")
		requireNothingDenied(t, c.Nodes()...)
		if n := c.Replicas(c.NodeFor("sse:orders"))[0].Commandstats()["xrange"]; n == 0 {
			t.Error("the replica was not read from")
		}
	})
	t.Run("Cluster", func(t *testing.T) {
		c := redistest.StartCluster(t, 3, 0, users...)
		slot := redistest.Slot("sse:orders")
		useEverything(t, "redis+cluster://"+login+strings.Join(c.Addrs(), ","), c.Client(), func() {
			for _, n := range c.Masters() {
				if n != c.Owner(slot) {
					c.MoveSlot(slot, n)
					return
				}
			}
		})
		requireNothingDenied(t, c.Nodes()...)
	})
}

func requireNothingDenied(t *testing.T, servers ...*redistest.Server) {
	t.Helper()
	for _, s := range servers {
		if denied := s.Do("ACL", "LOG").([]any); len(denied) > 0 {
			t.Errorf("%s has denied %d things, the last %v", s, len(denied), denied[0])
		}
	}
}

// useEverything has a gateway do whatever it does with a Redis: follow, replay,
// resume, find out about trimmed, deleted and moved streams, and other types.
// Everything but the last needs only that it goes on; what it delivers is tested
// elsewhere.
func useEverything(t *testing.T, redisURL string, c redis.UniversalClient, move func(), env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	do := func(args ...any) string {
		t.Helper()
		reply, err := c.Do(ctx, args...).Result()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return fmt.Sprint(reply)
	}
	// Two windows of four events: most is read from Redis.
	url := "http://" + startOneGateway(t, redisURL, append(env, "SSE_WINDOW_EVENTS=4", "SSE_SWEEP_INTERVAL=1s")...) + "/events?channel="
	first := do("XADD", "sse:orders", "*", "data", "first")
	for i := range 20 {
		do("XADD", "sse:orders", "*", "data", fmt.Sprint("old ", i))
	}
	do("SET", "sse:other", "not a stream")
	if got := status(url + "other"); got != http.StatusConflict {
		t.Errorf("a key of another type: %d, want 409", got)
	}
	follow := func(query, until string) (got string) {
		t.Helper()
		next := lines(t, url+query)
		for !strings.Contains(got, until) {
			got += next() + "\n"
		}
		return got
	}
	follow("orders&replay=all", "old 19")
	follow("orders&replay=10", "old 19")
	follow("orders&since=10m", "old 19")
	follow("orders&last_event_id="+first, "old 19")
	// On every node of a cluster there are some.
	many := ""
	for i := range 20 {
		many += fmt.Sprint("&channel=empty", i)
	}
	live := lines(t, url+"orders"+many)
	await := func(until string) {
		t.Helper()
		for !strings.Contains(live(), until) {
		}
	}
	await("gateway.ready")
	do("XADD", "sse:orders", "*", "data", "live")
	await("data: live")
	do("XADD", "sse:empty7", "*", "data", "not empty")
	await("data: not empty")
	// A stream of which the gateway has read nothing: of the other it has pages
	// from before it was trimmed, for a second.
	gone := do("XADD", "sse:short", "*", "data", "gone")
	for range 2 {
		do("XADD", "sse:short", "*", "data", "x")
	}
	do("XTRIM", "sse:short", "MAXLEN", "1")
	follow("short&last_event_id="+gone, "trimmed")
	do("DEL", "sse:orders")
	do("XADD", "sse:orders", "*", "data", "begun again")
	await("begun again")
	if move != nil {
		move()
		do("XADD", "sse:orders", "*", "data", "moved")
		await("data: moved")
	}
	// A look at all of it by the sweep.
	do("XADD", "sse:empty3", "*", "data", "the last")
	await("data: the last")
}

// startOneGateway starts a gateway with everything public until the end of the
// test, and returns its public address once it is ready.
func startOneGateway(t *testing.T, redisURL string, env ...string) string {
	t.Helper()
	public, admin := redistest.FreeAddr(t), redistest.FreeAddr(t)
	startExactly(t, append(env, "SSE_REDIS_URL="+redisURL, "SSE_ADDR="+public, "SSE_ADMIN_ADDR="+admin, "SSE_PUBLIC_CHANNELS=**",
		"SSE_DRAIN_DELAY=0s", "SSE_DRAIN_WINDOW=0s"), gatewayProgram(t))
	var reason string
	defer func() {
		if t.Failed() {
			t.Log("not ready: ", reason)
		}
	}()
	redistest.Eventually(t, patience, "the gateway is ready", func() bool {
		reason = body("http://" + admin + "/readyz")
		return status("http://"+admin+"/readyz") == http.StatusOK
	})
	return public
}

// lines opens a stream and returns a function that returns its next line.
func lines(t *testing.T, url string) func() string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := transport(1).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", url, res.Status)
	}
	in := bufio.NewScanner(res.Body)
	return func() string {
		t.Helper()
		if !in.Scan() {
			t.Fatalf("%s ended: %v", url, in.Err())
		}
		return in.Text()
	}
}
