package engine

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// clockSets are by how much administrators and time servers set clocks.
var clockSets = map[string]time.Duration{"back": -10 * time.Minute, "forward": 10 * time.Minute}

// clockShard is a shard whose clock the test turns. It begins a day ahead, so that
// the time that really passes has no part in it.
type clockShard struct {
	t     *testing.T
	sh    *shard
	now   time.Time     // by a clock that nobody has set
	set   time.Duration // what it was set by
	beats map[*Stream][]time.Time
	ends  map[*Stream]int // the sockets of the clients
}

func newClockShard(t *testing.T) *clockShard {
	s := bareStream()
	c := &clockShard{t: t, sh: s.shard, now: time.Now().Add(24 * time.Hour), beats: map[*Stream][]time.Time{}, ends: map[*Stream]int{}}
	if err := c.sh.reactor.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for s := range c.ends {
			c.leave(s)
		}
		c.sh.reactor.Close()
	})
	return c
}

// add parks a stream, which prepare may change.
func (c *clockShard) add(prepare func(*Stream)) *Stream {
	c.t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	s := &Stream{shard: c.sh}
	prepare(s)
	c.sh.env.streams.Add(1)
	s.fd = int32(pair[0])
	s.written(c.now)
	c.sh.park(s)
	c.ends[s] = pair[1]
	return s
}

func (c *clockShard) leave(s *Stream) {
	if s.parked {
		c.sh.endParked(s, metrics.EndClient)
	}
	_ = unix.Close(c.ends[s])
	delete(c.ends, s)
}

// run lets time pass, tick by tick, and notes the heartbeats.
func (c *clockShard) run(d time.Duration) {
	c.t.Helper()
	var got [1024]byte
	for end := c.now.Add(d); c.now.Before(end); {
		c.now = c.now.Add(reactor.Tick)
		c.sh.advance(redistest.SetClock(c.t, c.now, c.set))
		for s, fd := range c.ends {
			if n, _ := unix.Read(fd, got[:]); n > 0 && s.parked {
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
			c := newClockShard(t)
			period := c.sh.env.cfg.Heartbeat
			for range 20 {
				c.add(func(*Stream) {})
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
			c := newClockShard(t)
			beat := c.sh.env.cfg.Heartbeat * 12 / 10
			start := c.now
			grant := c.add(func(s *Stream) { s.life.ExpiresAt = start.Add(life).UnixNano() })
			old := c.add(func(s *Stream) { s.life.MaxAgeAt = reactor.Nanos(start.Add(life)) })
			c.run(time.Minute)
			c.set = d
			due := map[*Stream]time.Time{grant: start.Add(life - d), old: start.Add(life)}
			for c.now.Before(start.Add(2 * life)) {
				c.run(reactor.Tick)
				for s, at := range due {
					switch {
					case s.parked && c.now.After(at.Add(reactor.MaxLate)) && c.now.After(start.Add(time.Minute+beat+reactor.MaxLate)):
						t.Fatalf("a stream that is to end after %v is there after %v", at.Sub(start), c.now.Sub(start))
					case !s.parked && c.now.Before(at):
						t.Fatalf("a stream that is to end after %v ended after %v", at.Sub(start), c.now.Sub(start))
					case !s.parked:
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
