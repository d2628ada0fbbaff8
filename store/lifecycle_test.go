package store

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

var visitTime = flag.Duration("visit.time", 3*time.Second, "how long the visitors of TestVisits come")

// visit is what one subscriber saw of a channel, from its coming to its going.
type visit struct {
	channel    string
	start, end ID
	got        []item
}

// visitors are subscribers that come to channels which mostly nobody follows,
// and leave at any moment, while entries are added around all of it.
type visitors struct {
	t   *testing.T
	srv *redistest.Server
	s   *testStore

	mu      sync.Mutex
	ledgers map[string]*ledger
	visits  []visit
}

// add adds an entry and notes it.
func (v *visitors) add(channel, data string) ID {
	id := mustID(v.t, v.srv.XAdd("sse:"+channel, "data", data))
	v.mu.Lock()
	l := v.ledgers[channel]
	if l == nil {
		l = &ledger{}
		v.ledgers[channel] = l
	}
	v.mu.Unlock()
	l.add(id, data)
	return id
}

// subscribe subscribes, again if Redis is away.
func (v *visitors) subscribe(channel string) (*reader, error) {
	for deadline := time.Now().Add(patience); ; {
		r, err := v.s.trySubscribe(v.t, channel)
		if !errors.Is(err, ErrUnavailable) || time.Now().After(deadline) {
			return r, err
		}
	}
}

// come makes one visit. Entries are added at any moment around its beginning.
func (v *visitors) come(rng *rand.Rand, channel string) error {
	var around sync.WaitGroup
	defer around.Wait()
	for i := range rng.IntN(3) {
		after := time.Duration(rng.IntN(3000)) * time.Microsecond
		around.Go(func() {
			pause(context.Background(), after)
			v.add(channel, fmt.Sprint("around", i))
		})
	}
	r, err := v.subscribe(channel)
	if err != nil {
		return fmt.Errorf("channel %s: %w", channel, err)
	}
	defer r.close()
	start := r.cur.Pos()
	var until ID // it leaves at once
	switch rng.IntN(4) {
	case 0:
		pause(context.Background(), time.Duration(rng.IntN(2000))*time.Microsecond)
	default:
		if until = v.add(channel, "own"); !start.Less(until) {
			return fmt.Errorf("channel %s: a subscriber starts after %s, which was added later", channel, until)
		}
	}
	err = r.readUntil(until)
	v.mu.Lock()
	v.visits = append(v.visits, visit{channel, start, r.cur.Pos(), r.got})
	v.mu.Unlock()
	return err
}

// readUntil reads, as it is woken, until the position is reached.
func (r *reader) readUntil(id ID) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		more, err := r.step(ctx, 1<<16)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("channel %s: %s was not reached in %v: at %s, got %v", r.sub.Channel(), id, patience, r.cur.Pos(), r.got)
		case err != nil:
			pause(ctx, time.Millisecond) // Redis is away
		case more:
		case !r.cur.Pos().Less(id):
			return nil
		default:
			select {
			case <-r.wake:
			case <-ctx.Done():
			}
		}
	}
}

// judge checks every visit: all that was added between its start and its end,
// once and in order.
func (v *visitors) judge() {
	v.t.Helper()
	for _, l := range v.ledgers {
		l.seal()
	}
	for i, visit := range v.visits {
		l := v.ledgers[visit.channel]
		if l == nil {
			l = &ledger{} // nobody has added anything
		}
		if faults := l.judge(visit.start, visit.end, visit.got, l.entriesSet()); len(faults) > 0 {
			v.t.Errorf("visit %d of %s, from %s to %s:\n%s", i, visit.channel, visit.start, visit.end, strings.Join(faults[:min(len(faults), 5)], "\n"))
		}
	}
}

// sessionCuts is how often a run breaks the session: not without an end, or on a
// slow machine nothing would ever be read in between.
const sessionCuts = 8

// breakSessions cuts all connections, soon after each session has begun.
func (v *visitors) breakSessions(rng *rand.Rand, proxy *redistest.Proxy, stop <-chan struct{}) {
	for cut := 1; cut <= sessionCuts; {
		select {
		case <-stop:
			return
		default:
		}
		open := v.s.sessions() >= cut
		pause(context.Background(), time.Duration(1+rng.IntN(300))*time.Millisecond)
		if open {
			proxy.Cut()
			proxy.Restore()
			cut++
		}
	}
}

// TestVisits has subscribers come to channels that nobody follows and leave at
// any moment, while entries are added around their coming, windows are closed
// under those who come again, windows give their memory up, and sessions break.
// There is no sweep: whatever a subscriber is to see has to be announced.
func TestVisits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*Config)
		reap   bool // windows close as soon as nobody uses them
		cut    bool // sessions break
	}{
		{name: "windows linger"},
		{name: "windows close", reap: true},
		{name: "windows give up memory", reap: true, change: func(c *Config) { c.WindowEvents, c.WindowMemory = 2, 500 }},
		{name: "sessions break", cut: true},
		{name: "sessions break and windows close", cut: true, reap: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seed := seedOf(t)
			srv, proxy, s := openProxied(t, func(c *Config) {
				if tt.change != nil {
					tt.change(c)
				}
				if tt.reap {
					c.WindowLinger = 200 * time.Microsecond
				}
			})
			v := &visitors{t: t, s: s, srv: srv, ledgers: map[string]*ledger{}}

			stop := make(chan struct{})
			var faults, comers sync.WaitGroup
			if tt.cut {
				faults.Go(func() { v.breakSessions(rand.New(rand.NewPCG(seed, 1)), proxy, stop) })
			}
			over := time.Now().Add(*visitTime)
			for i := range 24 {
				rng := rand.New(rand.NewPCG(seed, uint64(100+i)))
				comers.Go(func() {
					for n := 0; time.Now().Before(over); n++ {
						channel := fmt.Sprint("shared", rng.IntN(6))
						if rng.IntN(2) == 0 {
							channel = fmt.Sprintf("new%d-%d", i, n)
						}
						if err := v.come(rng, channel); err != nil {
							t.Errorf("visitor %d: %v", i, err)
							return
						}
					}
				})
			}
			comers.Wait()
			close(stop)
			faults.Wait()
			v.judge()
			if tt.cut {
				redistest.Eventually(t, patience, "another session", func() bool { return v.s.sessions() > 1 })
			}
			t.Logf("%d visits of %d channels in %d sessions", len(v.visits), len(v.ledgers), v.s.sessions())
			if v.s.sweepFinds() != 0 || !tt.cut && v.s.sessions() != 1 {
				t.Errorf("%d finds of the sweep, %d sessions", v.s.sweepFinds(), v.s.sessions())
			}
		})
	}
}
