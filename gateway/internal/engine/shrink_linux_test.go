package engine

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/gateway/internal/conn"
	"github.com/sse-gateway/sse-gateway/gateway/sse/ssetest"
	"github.com/sse-gateway/sse-gateway/store"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// wakeFunc is the writer of a stream that does something when it is woken.
type wakeFunc func()

func (f wakeFunc) Wake()              { f() }
func (wakeFunc) StartClosing()        {}
func (wakeFunc) Abort()               {}
func (wakeFunc) Peer() conn.PeerState { return conn.PeerState{} }

// The window may be evicted from while a shard serves a long wake in rounds: the
// streams that were served so far are not left with what they have then.
func TestShrinkBetweenRounds(t *testing.T) {
	const events = 100 // of a kilobyte: more than one round's
	k := newSinks(t, 4, events, 1000, func(c *store.Config) { c.WindowMemory = 160 << 10 })
	// A stream that has a goroutine, among those that are parked, is woken in round
	// 0. Meanwhile another channel takes the memory.
	k.f.Subscribe("other")
	victim := k.streams[0]
	evicted := false
	var w writer = wakeFunc(func() {
		if evicted {
			return
		}
		evicted = true
		k.f.PublishNumbers("other", 140, strings.Repeat("o", 1000))
		redistest.Eventually(t, patience, "the window to be evicted from", func() bool {
			return valueOf(k.f.Metrics.Store.WindowEvictions.WithLabelValues("memory")) > 90
		})
	})
	victim.parked = false
	victim.writer.Store(&w)
	k.shard.loopMu.Lock()
	k.shard.wake(k.topic)
	k.shard.loopMu.Unlock()
	if !evicted {
		t.Fatal("the stream with a goroutine was not woken")
	}
	victim.writer.Store(nil)
	victim.parked = true
	for i, fd := range k.ends[1:] {
		var p ssetest.Parser
		redistest.Eventually(t, patience, "all events", func() bool {
			k.serve()
			n, err := unix.Read(fd, k.discard[:])
			if err == nil && n > 0 {
				p.Feed(k.discard[:n])
			}
			return len(p.Events) == events
		})
		if last := p.Events[events-1].Data; !strings.HasPrefix(last, "99 ") {
			t.Errorf("stream %d ends with %.10q", i+1, last)
		}
	}
}
