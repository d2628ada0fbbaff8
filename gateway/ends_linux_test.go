package gateway

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// The wheel is advanced every tick, at any phase: what is due in a tick may be
// taken up to a tick later. The end of a grant must not be.
func TestParkedStreamsDoNotOutliveTheirGrant(t *testing.T) {
	s := bareStream()
	s.g.cancel()
	for end := 5 * reactor.Tick; end < 6*reactor.Tick; end += reactor.Tick / 20 {
		start := time.Now()
		l := &lot{r: reactor.New[stream](reactor.Nanos(start))}
		s.parked.slot = l.r.Add(s)
		s.grantEnd, _ = s.g.lifetime(access.Grant{Expires: start.Add(end)})
		s.parked.beat = reactor.Nanos(start.Add(never))
		l.schedule(s, start)
		due := false
		l.r.Advance(reactor.Nanos(start.Add(end-reactor.Tick)), func(*stream) { due = true })
		if !due {
			t.Fatalf("a grant that ends after %v may end the stream later", end)
		}
	}
}

// A connection that this system cannot give back to a goroutine was lost by the
// gateway, not left by its client.
func TestLostConnection(t *testing.T) {
	s := bareStream()
	defer s.g.cancel()
	if !s.g.enter(s) {
		t.Fatal("the gateway is stopping")
	}
	s.parked.fd = math.MaxInt32 // none has that
	s.g.driveFD(s, nil, true)
	if n := valueOfMetric(s.g.metrics.Disconnects.WithLabelValues(metrics.EndWriteError)); n != 1 {
		t.Errorf("%d connections are counted as lost, want 1", n)
	}
}

// The token ends while a read of history is waited for.
func TestStreamEndsWithItsTokenWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, withTokens, small)
	ids := r.publishN("a", 20)
	auth := []string{"Authorization", "Bearer " + token(t, time.Now().Add(time.Hour), "a")}
	r.subscribe("channel=a", auth...)
	r.redis.Pause()
	t.Cleanup(r.redis.Resume)
	expires := time.Now().Truncate(time.Second).Add(2 * time.Second)
	auth[1] = "Bearer " + token(t, expires, "a")
	query := []*client{
		r.do(http11, r.request("channel=a", append(auth, "Last-Event-ID", ids[0])...)),
		r.do(h2c, r.request("channel=a", append(auth, "Last-Event-ID", ids[0])...)),
	}
	for _, c := range query {
		c.next()
		if at := c.end(); at.After(expires.Add(lateMachine)) {
			t.Errorf("%s: it ended %v after the token did", c.resp.Proto, at.Sub(expires))
		}
	}
}

// A token also ends for a client that does not read.
func TestStreamOfASlowClientEndsWithItsToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, withTokens)
	for i := range 10 {
		r.publish("a", fmt.Sprint(i)+string(make([]byte, 1_000_000)))
	}
	expires := time.Now().Truncate(time.Second).Add(2 * time.Second)
	r.send("GET /events?channel=a&replay=all HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token(t, expires, "a") + "\r\n\r\n")
	r.await(1, "disconnects_total", metrics.EndExpired)
	if late := time.Since(expires); late > farewellTimeout+lateMachine {
		t.Errorf("it ended %v after the token did", late)
	}
}

// Publishers may choose ids of their own, which have no time in them.
func TestLatencyOfStrangeIDs(t *testing.T) {
	r := newRig(t)
	now := time.Now()
	for _, ms := range []uint64{0, 1, 1 << 62, 1 << 63, math.MaxInt64, math.MaxUint64, uint64(now.UnixMilli()) - math.MaxInt64/uint64(time.Millisecond) - 1} {
		b := &batch{live: []uint64{ms}}
		b.observe(r.g.metrics, 1, now)
		if _, _, n := r.g.metrics.DeliveryLatency.Cumulative(); n != 0 {
			t.Fatalf("the id %d counts as a latency", ms)
		}
	}
}
