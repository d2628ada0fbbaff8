package gateway

import (
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// While Redis is away clients are told so, once, and their streams cost nothing
// more than before; when it is back they are told too, and go on.
func TestEngineStalledAndLive(t *testing.T) {
	checkLeaks(t)
	t.Run("drivers", func(t *testing.T) {
		for _, noParking := range []bool{false, true} {
			t.Run(driverName(noParking), func(t *testing.T) {
				t.Parallel()
				redis := redistest.Start(t)
				e := startEngine(t, redis, engineSetup{}.withDriver(noParking))
				testStalledAndLive(t, e)
				e.stop()
			})
		}
	})
}

func testStalledAndLive(t *testing.T, e *harness) {
	ch := channelOf(t)
	clients := []*engineClient{
		e.connect(ch, clientSetup{}), e.connect(ch, clientSetup{}),
		e.connect(ch+","+ch+":2", clientSetup{}),
	}
	e.awaitConnections(len(clients))
	e.publishNumbers(ch, 0, 10, "x")
	for _, c := range clients {
		c.awaitMessages(10)
	}
	e.redis.Pause()
	for _, c := range clients {
		c.await("gateway.stalled", func() bool { return len(c.named("gateway.stalled")) > 0 })
	}
	// They are still there, without a goroutine.
	e.awaitConnections(len(clients))
	late := e.connect(ch, clientSetup{}) // to a window that is open
	late.await("gateway.stalled", func() bool { return len(late.named("gateway.stalled")) > 0 })
	e.awaitConnections(len(clients) + 1)
	writes := valueOfMetric(e.m.Gateway.Writes)
	e.redis.Resume()
	for _, c := range append(clients, late) {
		c.await("gateway.live", func() bool { return len(c.named("gateway.live")) > 0 })
	}
	if n := valueOfMetric(e.m.Gateway.Writes) - writes; n > 2*(len(clients)+1) {
		t.Errorf("%d writes to %d clients for one event", n, len(clients)+1)
	}
	e.publishNumbers(ch, 10, 10, "x")
	for _, c := range clients {
		c.awaitMessages(20)
		c.checkNumbers(0, 20, "x")
		if s, l := c.named("gateway.stalled"), c.named("gateway.live"); len(s) != 1 || len(l) != 1 {
			t.Errorf("%d times stalled, %d times live", len(s), len(l))
		}
	}
	e.awaitConnections(len(clients) + 1)
}
