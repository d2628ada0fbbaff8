package gateway

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// Heartbeats come when the connection was idle for the period, ±20 %, and not in
// bursts.
func testHeartbeat(t *testing.T, e *harness) {
	start := time.Now()
	c := e.connect(channelOf(t), clientSetup{})
	e.awaitConnections(1)
	for i := 1; i <= 3; i++ {
		c.await("a heartbeat", func() bool { return len(c.Comments) >= i })
		// Whatever held the test up, none of them came before its time.
		if least := time.Duration(i) * e.g.cfg.Heartbeat * 8 / 10; time.Since(start) < least {
			t.Errorf("heartbeat %d came after %v, want %v at least", i, time.Since(start), least)
		}
	}
	if !c.whole() || len(c.messages()) > 0 || len(c.Ignored) > 0 {
		t.Errorf("heartbeats are not just comments: %q", c.Ignored)
	}
	e.awaitConnections(1)
}

// A connection on which events flow gets no heartbeats.
func testNoHeartbeatWhenBusy(t *testing.T, e *harness) {
	ch := channelOf(t)
	c := e.connect(ch, clientSetup{})
	e.awaitConnections(1)
	gap, last := time.Duration(0), time.Now()
	n := 0
	for start := time.Now(); time.Since(start) < e.g.cfg.Heartbeat*3/2; n++ {
		e.publishNumbers(ch, n, 1, "x")
		c.awaitMessages(n + 1)
		gap, last = max(gap, time.Since(last)), time.Now()
		pause := time.NewTimer(e.g.cfg.Heartbeat / 50)
		<-pause.C
	}
	// On a machine that stood still for that long there may be one.
	if gap < e.g.cfg.Heartbeat/2 && len(c.Comments) > 0 {
		t.Errorf("%d heartbeats on a connection that was idle for %v at most", len(c.Comments), gap)
	}
	c.checkNumbers(0, n, "x")
}

// Nothing that was published after the end of the grant is delivered, however
// busy the channel, and the client is told to come back.
func testGrantExpires(t *testing.T, e *harness) {
	ch := channelOf(t)
	over := make(chan struct{})
	var publisher, readers sync.WaitGroup
	publisher.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				e.publish(ch, strconv.FormatInt(time.Now().UnixMicro(), 10))
			}
		}
	})
	var clients []*engineClient
	var expire time.Time
	for range 20 {
		c := e.connect(ch, clientSetup{})
		expire = time.Now().Add(time.Duration(e.g.cfg.Access.(grantAll)))
		clients = append(clients, c)
		// It reads at once: a client that does not is told nothing at the end.
		readers.Go(func() { _ = c.readUntil(time.Now().Add(2*enginePatience), func() bool { return false }) })
	}
	e.awaitEnded(metrics.EndExpired, len(clients))
	late := time.Since(expire)
	close(over)
	publisher.Wait()
	readers.Wait()
	all := 0
	for _, c := range clients {
		c.awaitEnd()
		checkFarewell(t, c)
		m := c.messages()
		if all += len(m); len(m) > 0 && numberOf(m[len(m)-1]) > int(expire.UnixMicro()) {
			t.Errorf("of %d events the last was published after the end of the grant", len(m))
		}
	}
	if all == 0 || late > 10*time.Second {
		t.Errorf("%d events, and the streams ended %v after their grants", all, late)
	}
}

func testMaxAge(t *testing.T, e *harness) {
	ch := channelOf(t)
	e.publishNumbers(ch, 0, 10, "x")
	start := time.Now()
	c := e.connect(ch, clientSetup{query: "&replay=all"})
	c.awaitEnd()
	if age := time.Since(start); age < e.g.cfg.MaxConnectionAge*8/10 {
		t.Errorf("the stream ended after %v", age)
	}
	e.awaitEnded(metrics.EndMaxAge, 1)
	c.checkNumbers(0, 10, "x")
	checkFarewell(t, c)
}

// checkFarewell fails unless the stream ended after a whole event and a last
// word on when to come back, which is not the one that it began with.
func checkFarewell(t *testing.T, c *engineClient) {
	t.Helper()
	if !c.whole() {
		t.Error("the stream ended within an event")
	}
	if len(c.Retries) != 2 {
		t.Errorf("retry was sent %d times (%s), want once at the start and once at the end",
			len(c.Retries), strings.Join(c.Retries, ", "))
	}
}
