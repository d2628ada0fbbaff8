package deploy_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// atMost checks a measurement against what the formulae say. The factor is
// generous: these are seconds on a machine that does other work, and what is to
// be found is a cost that has another form than the formula, not some percent.
// Less than the formula says leaves room, which is no fault of a plan.
func atMost(t *testing.T, what string, measured, computed, factor float64) {
	t.Helper()
	t.Logf("%s: measured %.3g, computed %.3g", what, measured, computed)
	if measured > computed*factor {
		t.Errorf("%s: measured %.3g, computed %.3g: more than %g times as much", what, measured, computed, factor)
	}
}

// slownessOf is how much more an XADD costs now than where the formulae were
// measured, and at least 1: a machine that is slower, or does other work, is no
// fault of the formulae.
func slownessOf(t *testing.T, server *redistest.Server) float64 {
	t.Helper()
	const rate, events = 1000, 1000
	c := server.Client()
	before := redisCPU(t, c)
	publishAt(t, c, "yardstick", events, 1, rate)
	slowness := max(1, (redisCPU(t, c)-before)/events/append1.at(rate))
	t.Logf("an XADD costs %.1f times what was measured for the formulae", slowness)
	return slowness
}

// What a connection and a delivery cost, and that both grow in proportion.
func TestScalingMeasuredGateway(t *testing.T) {
	const few, many = 500, 2500
	server := redistest.Start(t)
	m := startMeter(t, server.URL())
	slowness := slownessOf(t, server)
	memory := m.resident()
	m.connect(few, "few")
	cpu := m.cpu()
	m.connect(many, "many")
	atMost(t, "µs of a connect", (m.cpu()-cpu)/many, connectCPU*slowness, 6)
	// Of 3,000, much is what connecting left behind; BENCHMARKS.md has 18,000.
	atMost(t, "bytes of a connection", (m.resident()-memory)/(few+many), connectionBytes, 7)

	// Each event costs a read as well, which is little beside so many deliveries.
	deliver := func(name string, subscribers, events int) float64 {
		before, cpu := m.series("sse_gateway_deliveries_total"), m.cpu()
		publishAt(t, server.Client(), name, events, 1, 40)
		m.awaitDeliveries(before + float64(subscribers*events))
		return (m.cpu() - cpu) / float64(subscribers*events)
	}
	toMany, toFew := deliver("many", many, 40), deliver("few", few, 120)
	atMost(t, "µs of a delivery", toMany, (deliveryCPU+tailHot.at(40)/many)*slowness, 4)
	atMost(t, "a delivery to many, against one to few", toMany/toFew, 1, 2.5)
}

// What an event costs Redis: for each replica that is interested, and less of
// each the more there are.
func TestScalingMeasuredRedis(t *testing.T) {
	const slow, fast = 1000, 20000
	server := redistest.Start(t)
	var meters []*meter
	perEvent := func(events, batch int, rate float64) float64 {
		var before []float64
		for _, m := range meters {
			before = append(before, m.series("sse_gateway_deliveries_total"))
		}
		cpu := redisCPU(t, server.Client())
		publishAt(t, server.Client(), "orders", events, batch, rate)
		for i, m := range meters {
			m.awaitDeliveries(before[i] + float64(events))
		}
		return (redisCPU(t, server.Client()) - cpu) / float64(events)
	}
	join := func(n int) {
		for range n {
			m := startMeter(t, server.URL())
			stream := m.connect(1, "orders")[0]
			go func() { _, _ = io.Copy(io.Discard, stream) }()
			meters = append(meters, m)
		}
	}
	slowness := slownessOf(t, server)
	none := perEvent(1000, 1, slow)
	join(1)
	one := perEvent(1000, 1, slow)
	join(3)
	four := perEvent(1000, 1, slow)
	together := perEvent(20000, 20, fast)
	t.Logf("µs of Redis per event at %d/s: no replica %.1f, one %.1f, four %.1f; four at %d/s %.1f", slow, none, one, four, fast, together)

	atMost(t, "µs for each of four replicas", (four-none)/4, readHot.at(slow)*slowness, 4)
	atMost(t, "four replicas against none", four/none, (append1.at(slow)+4*readHot.at(slow))/append1.at(slow), 5)
	atMost(t, "µs with four replicas, at a high rate", together, (appendMany.at(fast)+4*readHot.at(fast))*slowness, 4)
	if together > four/3 {
		t.Errorf("events are not collected at a high rate: %.1f µs each, %.1f µs one by one", together, four)
	}
}

// A group of gateways can be given a Redis replica of its own to read from: its
// events come as they do from the master, and it goes on when the replica is
// made the master.
func TestScalingReadReplica(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	m := startMeter(t, replica.URL())
	next := lines(t, "http://"+m.public+"/events?channel=orders")
	await := func(text string) {
		t.Helper()
		for line := next(); !strings.Contains(line, text); line = next() {
			if strings.Contains(line, "gateway.gap") {
				t.Error("a gap")
			}
		}
	}
	await("gateway.ready")
	for i := range 50 {
		master.XAdd("sse:orders", "data", fmt.Sprint("event ", i))
		await(fmt.Sprint("data: event ", i))
	}
	// All of them were announced.
	if n := m.series("sse_gateway_sweep_finds_total"); n != 0 {
		t.Errorf("the sweep found %v events", n)
	}
	master.Kill()
	replica.Promote()
	replica.XAdd("sse:orders", "data", "of the new master")
	await("data: of the new master")
}
