package gateway

import (
	"fmt"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// heartbeats returns how many heartbeats a client got, and that they are
// nothing but the comment.
func (c *client) heartbeats() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range c.parser.Comments {
		if text != "" {
			c.t.Errorf("a comment %q", text)
		}
	}
	return len(c.parser.Comments)
}

// heartbeatsOnly is what a client gets after an event: no empty line, for which
// some clients would dispatch an event.
var heartbeatsOnly = regexp.MustCompile(`\n\n(:\n)+$`)

// beats returns when the first n heartbeats came.
func (c *client) beats(n int) (at []time.Time) {
	for i := range n {
		if !c.until(patience, func() bool { return len(c.parser.Comments) > i }) {
			c.t.Errorf("%s: no sse.Heartbeat after %d", c.resp.Proto, i)
			return nil
		}
		at = append(at, time.Now())
	}
	if c.heartbeats(); !heartbeatsOnly.MatchString(c.tail()) {
		c.t.Errorf("%s: %q", c.resp.Proto, c.tail())
	}
	return at
}

// Parked connections keep time by a wheel, those with a goroutine by timers.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	const beat, tick = 500 * time.Millisecond, 100 * time.Millisecond
	r := newRig(t, func(s *setup) { s.gateway.Heartbeat = beat })
	var all sync.WaitGroup
	var mu sync.Mutex
	spread := map[string]map[time.Duration]bool{http11: {}, h2c: {}}
	for i := range 16 {
		proto := []string{http11, h2c}[i%2]
		begin := time.Now()
		c := r.do(proto, r.request(fmt.Sprint("channel=a&channel=", i)))
		all.Go(func() {
			last := begin
			for i, at := range c.beats(4) {
				// Late is the machine, and looks early in what comes next: so each
				// is measured from the start. The wheel may be a tick early.
				if least := time.Duration(i+1) * (beat*8/10 - tick); at.Sub(begin) < least {
					t.Errorf("%s: sse.Heartbeat %d after %v, want %v at least", proto, i+1, at.Sub(begin), least)
				}
				mu.Lock()
				spread[proto][at.Sub(last).Round(tick/2)] = true
				mu.Unlock()
				last = at
			}
		})
	}
	all.Wait()
	for proto, times := range spread {
		if len(times) < 2 {
			t.Errorf("%s: all are %v apart", proto, times)
		}
	}
}

func TestNoHeartbeatsWhileBusy(t *testing.T) {
	t.Parallel()
	const beat = time.Second
	r := newRig(t, func(s *setup) { s.gateway.Heartbeat = beat })
	clients := []*client{r.subscribe("channel=a"), r.subscribe("channel=a&channel=b"), r.do(h2c, r.request("channel=a"))}
	clients[2].next()
	var longest time.Duration // the machine may hold the publisher up
	last := time.Now()
	for begin := last; time.Since(begin) < 2*beat; {
		r.publish("a", "x")
		for _, c := range clients {
			c.expect("x")
		}
		longest, last = max(longest, time.Since(last)), time.Now()
		pause := time.NewTimer(beat / 50)
		<-pause.C
	}
	for i, c := range clients {
		if n := c.heartbeats(); n > 0 && longest < beat/2 {
			t.Errorf("client %d got %d heartbeats, with %v between events at most", i, n, longest)
		}
		c.nothingElse()
	}
}

func TestFlushIntervalCollects(t *testing.T) {
	t.Parallel()
	const interval = 400 * time.Millisecond
	r := newRig(t, func(s *setup) { s.gateway.FlushInterval = interval })
	clients := []*client{r.subscribe("channel=a"), r.do(h2c, r.request("channel=a"))}
	clients[1].next()
	// With this the interval is over that began when the clients came.
	r.publish("a", "x")
	for _, c := range clients {
		c.expect("x")
	}
	redistest.Eventually(t, patience, "the deliveries to be counted", func() bool { return r.value("deliveries_total") == 2 })
	writes := r.value("writes_total")
	begin := time.Now()
	r.publishN("a", 30)
	for _, c := range clients {
		c.expect(numbered("a", 0, 30)...)
	}
	if waited := time.Since(begin); waited < interval/2 {
		t.Errorf("events arrived after %v already", waited)
	}
	redistest.Eventually(t, patience, "the deliveries to be counted", func() bool { return r.value("deliveries_total") == 62 })
	took := time.Since(begin) // until the last of them, however long publishing took
	// One write per interval and client, however many events there were.
	if n := r.value("writes_total") - writes; n > 2*(float64(took/interval)+2) {
		t.Errorf("%v writes for events of %v", n, took)
	}
}
