package gateway

import (
	"sync/atomic"
	"testing"

	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// driverFunc is a driver that does something when it is woken.
type driverFunc func()

func (f driverFunc) wake() { f() }
func (driverFunc) hurry()  {}

// The window may be evicted from while a shard serves a long wake in turns: the
// streams that were served so far are not left with what they have then.
func TestShrinkBetweenTurns(t *testing.T) {
	redis := redistest.Start(t)
	e := startEngine(t, redis, engineSetup{store: func(c *store.Config) { c.WindowMemory = 160 << 10 }})
	defer e.stop()
	const events = 100 // of a kilobyte: more than one turn's
	ch := channelOf(t)
	// So many that the tail leaves them to the shards: it has to read on.
	clients := e.connectMany(len(e.g.hub.shards)*(fewStreams+1), ch)
	e.connect(ch+":other", clientSetup{})
	e.awaitConnections(len(clients) + 1)
	for _, s := range e.g.hub.shards {
		s.turn.Lock()
	}
	e.publishNumbers(ch, 0, events, fillPadding)
	redistest.Eventually(t, enginePatience, "the events in the window", func() bool { return valueOfMetric(e.m.Store.WindowEvents) == events })
	// A stream that is driven, among those that are parked, is woken in the
	// first turn; meanwhile another channel takes the memory.
	var sh *shard
	for _, s := range e.g.hub.shards {
		if s.topics[ch] != nil {
			sh = s
		}
	}
	victim := sh.topics[ch].streams[0].stream
	var evicted atomic.Bool
	var d driver = driverFunc(func() {
		if !evicted.Swap(true) {
			e.publishNumbers(ch+":other", 0, 140, fillPadding)
			// Not Eventually: it would end a goroutine that is not the test's.
			if !redistest.Poll(enginePatience, func() bool {
				return valueOfMetric(e.m.Store.WindowEvictions.WithLabelValues("memory")) > 90
			}) {
				t.Error("the window was not evicted from")
			}
		}
	})
	slot := victim.parked.slot
	victim.parked.slot = 0
	victim.driver.Store(&d)
	for _, s := range e.g.hub.shards {
		s.turn.Unlock()
	}
	redistest.Eventually(t, enginePatience, "the wake", evicted.Load)
	sh.turn.Lock() // when it is over
	victim.parked.slot = slot
	victim.driver.Store(nil)
	sh.turn.Unlock()
	sh.post(victim) // serves it and nobody else
	for i, c := range clients {
		if c.awaitMessages(events); len(c.messages()) != events {
			t.Errorf("client %d has %d events", i, len(c.messages()))
		}
	}
}
