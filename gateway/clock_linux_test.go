package gateway

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// clockLot is a lot whose clock the test turns. It begins a day ahead, so that
// the time that really passes has no part in it.
type clockLot struct {
	t     *testing.T
	l     *lot
	now   time.Time     // by a clock that nobody has set
	set   time.Duration // what it was set by
	beats map[*stream][]time.Time
	ends  map[*stream]int // the sockets of the clients
}

func newClockLot(t *testing.T) *clockLot {
	s := bareStream()
	c := &clockLot{t: t, l: s.shard.lot, now: time.Now().Add(24 * time.Hour), beats: map[*stream][]time.Time{}, ends: map[*stream]int{}}
	c.l.open()
	t.Cleanup(func() {
		for s := range c.ends {
			c.leave(s)
		}
		c.l.r.Close()
		s.g.cancel()
	})
	return c
}

// add parks a stream, which prepare may change.
func (c *clockLot) add(prepare func(*stream)) *stream {
	c.t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	s := &stream{g: c.l.g, shard: c.l.g.hub.shards[0]}
	prepare(s)
	if !c.l.g.enter(s) {
		c.t.Fatal("the gateway is stopping")
	}
	s.parked.fd, s.parked.beat = int32(pair[0]), reactor.Nanos(s.nextBeat(c.now))
	c.l.park(s)
	c.ends[s] = pair[1]
	return s
}

func (c *clockLot) leave(s *stream) {
	if s.parked.slot != 0 {
		c.l.end(s, metrics.EndClient)
	}
	_ = unix.Close(c.ends[s])
	delete(c.ends, s)
}

// run lets time pass, tick by tick, and notes the heartbeats.
func (c *clockLot) run(d time.Duration) {
	c.t.Helper()
	var got [1024]byte
	for end := c.now.Add(d); c.now.Before(end); {
		c.now = c.now.Add(reactor.Tick)
		c.l.advance(redistest.SetClock(c.t, c.now, c.set))
		for s, fd := range c.ends {
			if n, _ := unix.Read(fd, got[:]); n > 0 && s.parked.slot != 0 {
				c.beats[s] = append(c.beats[s], c.now)
			}
		}
	}
}

// However the clock is set, a connection that waits gets its heartbeats: proxies
// would cut it without, and all of them at once would be a burst.
func TestHeartbeatsWhenTheClockIsSet(t *testing.T) {
	for name, d := range clockSets {
		t.Run(name, func(t *testing.T) {
			c := newClockLot(t)
			period := c.l.g.cfg.Heartbeat
			for range 20 {
				c.add(func(*stream) {})
			}
			start := c.now
			c.run(2 * time.Minute)
			c.set = d
			c.run(2 * time.Minute)
			c.set = 0
			c.run(2 * time.Minute)
			for s := range c.ends {
				last, longest, shortest := start, time.Duration(0), never
				for _, at := range append(c.beats[s], c.now) {
					longest = max(longest, at.Sub(last))
					if at != c.now {
						shortest = min(shortest, at.Sub(last))
					}
					last = at
				}
				if longest > period*12/10+reactor.MaxLate || shortest < period*8/10 {
					t.Errorf("heartbeats came %v to %v after one another", shortest, longest)
				}
			}
		})
	}
}

// A grant ends a parked stream by the clock as it is then, and a maximum age
// however that is set.
func TestParkedStreamsEndWhenTheClockIsSet(t *testing.T) {
	const life = time.Hour
	for _, d := range []time.Duration{0, -30 * time.Minute, 30 * time.Minute, 2 * time.Hour} {
		t.Run(fmt.Sprint(d), func(t *testing.T) {
			c := newClockLot(t)
			beat := c.l.g.cfg.Heartbeat * 12 / 10
			start := c.now
			grant := c.add(func(s *stream) { s.grantEnd = start.Add(life).UnixNano() })
			old := c.add(func(s *stream) { s.oldAt = uint32(reactor.Nanos(start.Add(life))/int64(reactor.Tick)) + 1 })
			c.run(time.Minute)
			c.set = d
			due := map[*stream]time.Time{grant: start.Add(life - d), old: start.Add(life)}
			for c.now.Before(start.Add(2 * life)) {
				c.run(reactor.Tick)
				for s, at := range due {
					switch {
					case s.parked.slot != 0 && c.now.After(at.Add(reactor.MaxLate)) && c.now.After(start.Add(time.Minute+beat+reactor.MaxLate)):
						t.Fatalf("a stream that is to end after %v is there after %v", at.Sub(start), c.now.Sub(start))
					case s.parked.slot == 0 && c.now.Before(at):
						t.Fatalf("a stream that is to end after %v ended after %v", at.Sub(start), c.now.Sub(start))
					case s.parked.slot == 0:
						delete(due, s)
					}
				}
			}
			if len(due) > 0 {
				t.Errorf("%d streams are left", len(due))
			}
		})
	}
}
