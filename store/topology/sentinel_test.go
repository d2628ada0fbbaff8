package topology

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// sentinelHook is put in the way of the commands to a sentinel.
type sentinelHook func(ctx context.Context, cmd redis.Cmder, next redis.ProcessHook) error

func (h sentinelHook) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h sentinelHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (h sentinelHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return h(ctx, cmd, next) }
}

// flatMap is a map in RESP2.
func flatMap(pairs ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(pairs))
	for _, s := range pairs {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(s), s)
	}
	return b.String()
}

// While a question to the sentinels is open, events come as ever.
func TestSentinelsAreSilent(t *testing.T) {
	t.Parallel()
	first := redistest.Start(t)
	g := redistest.StartSentinel(t, "m", first, 0)
	topo := New(testOptions(t, g.URL()))
	run(t, topo)
	s := follow(t, topo, "a")
	awaitHead(t, s, first.XAdd("sse:a", "data", "x"))
	questions := make(chan context.Context)
	for _, c := range topo.sentinels {
		c.AddHook(sentinelHook(func(ctx context.Context, _ redis.Cmder, _ redis.ProcessHook) error {
			select {
			case questions <- ctx:
			case <-ctx.Done():
			}
			<-ctx.Done()
			return ctx.Err()
		}))
	}
	redistest.Eventually(t, patience, "an event that does not wait for the sentinels", func() bool {
		question := <-questions
		awaitHead(t, s, first.XAdd("sse:a", "data", "x"))
		return question.Err() == nil
	})
}

// The sentinels name another master while the one that was goes on as if it
// still were.
func TestSentinelsNameAnother(t *testing.T) {
	t.Parallel()
	first, second := redistest.Start(t), redistest.Start(t)
	g := redistest.StartSentinel(t, "m", first, 0)
	topo := New(testOptions(t, g.URL()))
	run(t, topo)
	s := follow(t, topo, "a")
	awaitHead(t, s, first.XAdd("sse:a", "data", "x"))
	_, port, err := net.SplitHostPort(second.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range topo.sentinels {
		c.AddHook(sentinelHook(func(ctx context.Context, cmd redis.Cmder, next redis.ProcessHook) error {
			err := next(ctx, cmd)
			if m, ok := cmd.(*redis.MapStringStringCmd); ok && err == nil {
				m.Val()["port"] = port
			}
			return err
		}))
	}
	second.XAdd("sse:a", "data", "x") // which may have the id of the other one
	awaitHead(t, s, second.XAdd("sse:a", "data", "x"))
	q, err := topo.Nodes()[0].Querier(t.Context())
	if err != nil || q.(querier).addr != second.Addr() {
		t.Errorf("history is read from %v, %v", q, err)
	}
}

// The sentinel with the highest configuration epoch is believed: one that is cut
// off from the others goes on naming the old master.
func TestSentinelWithTheHighestEpochIsBelieved(t *testing.T) {
	t.Parallel()
	var addrs []string
	for _, s := range []struct{ port, epoch string }{{"1", "3"}, {"2", "10"}, {"2", "10"}} {
		addrs = append(addrs, redistest.ServeCommands(t, func([]string) (string, bool) {
			return flatMap("name", "m", "ip", "127.0.0.1", "port", s.port, "config-epoch", s.epoch), false
		}))
	}
	topo := New(testOptions(t, "redis+sentinel://"+strings.Join(addrs, ",")+"/0?master=m"))
	closeAtEnd(t, topo)
	for range 20 { // two of three are always waited for, of which one at least knows
		if addr, _, err := topo.askSentinels(t.Context()); err != nil || addr != "127.0.0.1:2" {
			t.Fatalf("the master is %s, %v", addr, err)
		}
	}
}

// Before a master is known there is nothing to read history from: a sentinel is
// not sent what is meant for a server, least of all the password.
func TestSentinelIsNeverSentTheServersPassword(t *testing.T) {
	t.Parallel()
	var seen commands
	addr := redistest.ServeCommands(t, func(args []string) (string, bool) {
		switch command := seen.add(args); {
		case strings.HasPrefix(command, "AUTH"):
			return "+OK\r\n", false
		case strings.HasPrefix(command, "SENTINEL"):
			return "-ERR No such master with that name\r\n", false
		}
		return "-ERR unknown command\r\n", false
	})
	const secret, sentinels = "s3cret", "hush"
	topo := New(testOptions(t, "redis+sentinel://gateway:"+secret+"@"+addr+"/0?master=m&sentinel_password="+sentinels))
	run(t, topo)
	for range 3 {
		if c, err := topo.Nodes()[0].Querier(t.Context()); c != nil || !errors.Is(err, rediserr.ErrUnreachable) || !strings.Contains(err.Error(), "No such master") {
			t.Errorf("a client %v, %v", c, err)
		}
	}
	redistest.Eventually(t, patience, "the tail to ask as well", func() bool { return len(seen.with("master")) >= 6 })
	if got := seen.with(secret); len(got) > 0 {
		t.Errorf("the sentinel was sent %q", got)
	}
	if len(seen.with(sentinels)) == 0 || len(seen.with("sse:")) > 0 || len(seen.with("ROLE")) > 0 {
		t.Errorf("the sentinel was sent %q", seen.with(""))
	}
}

func TestReplicaIsReachable(t *testing.T) {
	t.Parallel()
	for flags, want := range map[string]bool{
		"slave": true, "": true, "s_down,slave": false, "slave,o_down": false, "slave,disconnected": false, "slave,reconf_done": true,
	} {
		if got := isReachable(map[string]string{"flags": flags}); got != want {
			t.Errorf("%q: %v", flags, got)
		}
	}
}
