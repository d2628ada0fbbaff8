package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// incarnation is a stream from one reset to the next. It begins with what the
// one before it had up to the position from.
type incarnation struct {
	from ID
	ids  []ID
	data map[ID]string
	// vanished: there is no stream, and from is the end of the one before. What
	// comes next begins after it, unless its ids go back.
	vanished bool
}

// goesOn reports that the log has no reset at the beginning of the incarnation.
func goesOn(before, c *incarnation) bool { return before.vanished && c.from == before.from }

func (c *incarnation) after(pos ID) []ID {
	i, _ := slices.BinarySearchFunc(c.ids, pos.Next(), ID.Compare)
	return c.ids[i:]
}

// stand is where a reader may stand: at a position of an incarnation.
type stand struct {
	in  int
	pos ID
}

// pass takes a reader to a later incarnation, and tells whether it loses
// something on the way: its position, or entries after it.
// resets is how many resets of the log it passes.
func pass(all []*incarnation, s stand, to int) (_ stand, missed bool, resets int) {
	for ; s.in < to; s.in++ {
		next := all[s.in+1]
		from := next.from
		if !goesOn(all[s.in], next) {
			resets++
		}
		if next.vanished {
			missed = missed || s.pos != from
			s.pos = from
			continue
		}
		missed = missed || from.Less(s.pos) || len(all[s.in].after(from)) > 0 && len(all[s.in].after(s.pos)) > 0
		s.pos = redisstream.Min(s.pos, from)
	}
	return s, missed, resets
}

// judgeResets checks what a reader that began with the first incarnation got:
// every entry of an incarnation, once, in order, and from one to a later one a
// gap if, and only if, it lost something. Ids come back, so where it stands is
// not always certain; one way to explain what it got is enough.
func judgeResets(all []*incarnation, got []item) (fault string) {
	stands := map[stand]bool{{}: true}
	for i, it := range got {
		next := map[stand]bool{}
		for s := range stands {
			for to := s.in; to < len(all); to++ {
				n, missed, resets := pass(all, s, to)
				switch rest := all[to].after(n.pos); {
				case it.gap != nil:
					if missed && *it.gap == (Gap{Channel: "a", After: s.pos, Resumed: n.pos, Reason: metrics.GapReset}) {
						next[n] = true
					}
					// Who slept through several may be told of more than there was,
					// and get entries again.
					if g := *it.gap; resets > 1 && g.After == s.pos && g.Reason == metrics.GapReset && !n.pos.Less(g.Resumed) {
						next[stand{to, g.Resumed}] = true
					}
				case !missed && len(rest) > 0 && rest[0] == it.id && it.text == it.id.String()+" "+all[to].data[it.id]:
					next[stand{to, it.id}] = true
				}
			}
		}
		if len(next) == 0 {
			return fmt.Sprintf("item %d is %s, after %v; it may be at %v", i, it, got[max(0, i-3):i], stands)
		}
		stands = next
	}
	for s := range stands {
		if s.in == len(all)-1 && len(all[s.in].after(s.pos)) == 0 {
			return ""
		}
	}
	return fmt.Sprintf("at the end it may be at %v", stands)
}

// TestModelResets takes a stream away under its readers, again and again:
// deletes it, or puts an older copy of it in its place. Most of them are slow
// and far behind then, also behind where the two agree.
func TestModelResets(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	srv := redistest.Start(t)
	// Behind the one window readers soon go by pages; in the other they dawdle.
	window := func(events int) func(*Config) { return func(c *Config) { c.WindowEvents = events } }
	stores := []*testStore{openHealthy(t, srv.URL(), window(8)), openHealthy(t, srv.URL(), window(100))}
	var readers sync.WaitGroup
	got := make([][]item, 12)
	for i := range got {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		r := stores[i%len(stores)].subscribe(t, "a")
		readers.Go(func() { got[i] = r.readSlowly(rng) })
	}
	p := &resetter{t: t, srv: srv, rng: rand.New(rand.NewPCG(seed, 100)), all: []*incarnation{{data: map[ID]string{}}}}
	p.stores = stores
	for _, s := range stores {
		p.watchers = append(p.watchers, s.subscribe(t, "a"))
	}
	for range 60 {
		p.round()
	}
	p.add("end")
	readers.Wait()
	for i := range got {
		if fault := judgeResets(p.all, got[i]); fault != "" {
			t.Errorf("seed %d: reader %d: %s", seed, i, fault)
		}
	}
}

// readSlowly reads until the end, with pauses.
func (r *reader) readSlowly(rng *rand.Rand) []item {
	deadline := time.Now().Add(*modelTime + 3*patience)
	speed := 1 + rng.IntN(4_000) // pauses, in microseconds
	for time.Now().Before(deadline) {
		more, err := r.step(context.Background(), 1+rng.IntN(30))
		if err != nil {
			r.t.Errorf("Fetch: %v", err)
			break
		}
		if n := len(r.got); n > 0 && strings.HasSuffix(r.got[n-1].text, " end") {
			break
		}
		pause(context.Background(), time.Duration(rng.IntN(speed))*time.Microsecond)
		if !more {
			select {
			case <-r.wake:
			case <-time.After(time.Second):
			}
		}
	}
	return r.got
}

// resetter publishes, and resets the stream.
type resetter struct {
	t        *testing.T
	srv      *redistest.Server
	rng      *rand.Rand
	all      []*incarnation
	stores   []*testStore
	watchers []*reader // they read at once, and tell what the windows have seen
	n        int
}

// round adds to the stream and then resets it, each time until the windows have
// seen it: what nobody saw leaves no trace.
func (p *resetter) round() {
	for range p.rng.IntN(20) {
		p.add("")
	}
	now := p.all[len(p.all)-1]
	next := &incarnation{data: map[ID]string{}}
	copied := len(now.ids) > 0 && p.rng.IntN(8) > 2
	if copied {
		p.srv.Do("COPY", "sse:a", "sse:copy", "REPLACE")
		next.ids = slices.Clone(now.ids)
		next.from = now.ids[len(now.ids)-1]
		for _, id := range now.ids {
			next.data[id] = now.data[id]
		}
	}
	for range 1 + p.rng.IntN(20) {
		p.add("")
	}
	now = p.all[len(p.all)-1]
	last := now.ids[len(now.ids)-1]
	pause(context.Background(), time.Duration(p.rng.IntN(15))*time.Millisecond)
	p.watch("the last of a stream", func(it item) bool { return it.id == last && it.gap == nil })
	if copied {
		p.srv.Do("COPY", "sse:copy", "sse:a", "REPLACE")
		p.all = append(p.all, next)
		p.watch("the reset", func(it item) bool { return it.gap != nil })
		return
	}
	p.srv.Do("DEL", "sse:a")
	next.vanished, next.from = true, last
	p.all = append(p.all, next)
	for _, s := range p.stores {
		s.awaitGone(p.t, "a")
	}
}

func (p *resetter) watch(what string, seen func(item) bool) {
	p.t.Helper()
	for _, w := range p.watchers {
		w.await(what, func() bool { return len(w.got) > 0 && seen(w.got[len(w.got)-1]) })
	}
}

// add adds an entry, with an id that another incarnation may have had, too.
func (p *resetter) add(data string) {
	p.t.Helper()
	now := p.all[len(p.all)-1]
	id := ID{Ms: 1 + p.rng.Uint64N(5)}
	if n := len(now.ids); n > 0 {
		id.Ms += now.ids[n-1].Ms
	}
	if now.vanished {
		begun := &incarnation{data: map[ID]string{}}
		if p.rng.IntN(2) == 0 { // as ids that Redis makes
			begun.from = now.from
			id.Ms += now.from.Ms
		} else if now.from.Less(id) {
			begun.from = now.from
		}
		p.all, now = append(p.all, begun), begun
	}
	if p.n++; data == "" {
		data = fmt.Sprint(p.n)
	}
	p.srv.Do("XADD", "sse:a", id.String(), "data", data)
	now.ids, now.data[id] = append(now.ids, id), data
}
