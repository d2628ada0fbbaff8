package store

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

var (
	modelSeed = flag.Uint64("model.seed", 0, "seed of the model tests; 0: a new one")
	modelTime = flag.Duration("model.time", 5*time.Second, "how long TestModel publishes")
)

// seedOf is the seed of a model's random choices, which is logged.
func seedOf(t *testing.T) uint64 {
	seed := *modelSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("go test -run '%s' -model.seed=%d", t.Name(), seed)
	return seed
}

// ledger is everything that was ever added to a stream.
type ledger struct {
	mu      sync.Mutex
	entries map[ID]string
	sorted  []ID // built by seal
}

func (l *ledger) add(id ID, data string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries == nil {
		l.entries = map[ID]string{}
	}
	l.entries[id] = data
}

func (l *ledger) seal() {
	l.sorted = l.sorted[:0]
	for id := range l.entries {
		l.sorted = append(l.sorted, id)
	}
	slices.SortFunc(l.sorted, ID.Compare)
}

// between returns the entries after a up to b.
func (l *ledger) between(a, b ID) []ID {
	i := sort.Search(len(l.sorted), func(i int) bool { return a.Less(l.sorted[i]) })
	j := sort.Search(len(l.sorted), func(i int) bool { return b.Less(l.sorted[i]) })
	return l.sorted[i:max(i, j)]
}

// judge checks what a reader that began after start got, against the ledger and
// what the stream has in the end: every entry once, in order, or a gap over it.
func (l *ledger) judge(start, end ID, got []item, retained map[ID]bool) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	pos := start
	for i, it := range got {
		to := it.id
		if it.gap != nil {
			to = it.gap.Resumed
		}
		switch between := l.between(pos, to); {
		case it.gap == nil:
			if !pos.Less(it.id) {
				fault("item %d: %s is a repeat or out of order after %s", i, it, pos)
			}
			if data, ok := l.entries[it.id]; !ok || it.text != it.id.String()+" "+data {
				fault("item %d: %s was never added", i, it)
			}
			if len(between) > 1 {
				fault("item %d: between %s and %s, %v is missing without a gap", i, pos, it.id, between[:len(between)-1])
			}
		case it.gap.Reason != metrics.GapTrimmed:
			fault("item %d: %s for no reason", i, it)
		default:
			if !it.tail && it.gap.After != pos || it.tail && pos.Less(it.gap.After) {
				fault("item %d: %s begins elsewhere than at %s", i, it, pos)
			}
			for _, id := range between {
				if retained[id] {
					fault("item %d: %s swallows %s, which is there", i, it, id)
				}
			}
			// A cold resume cannot tell whether what is gone was after its
			// position; the tail counts, and can.
			if it.tail && len(l.between(it.gap.After, it.gap.Resumed)) == 0 {
				fault("item %d: %s covers nothing that was lost", i, it)
			}
		}
		if pos.Less(to) {
			pos = to
		}
	}
	if missing := l.between(pos, end); len(missing) > 0 {
		fault("after %s, %v is missing at the end", pos, missing)
	}
	return faults
}

// modelChannel is how one channel of the model is published to.
type modelChannel struct {
	name   string
	maxLen int    // 0: never trimmed
	burst  int    // entries in one pipeline, at most
	ledger ledger // guarded by its own mutex
}

// TestModel lets clients come and go, on two replicas with tiny windows, while
// several publishers add and trim, and checks each one's whole sequence.
func TestModel(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	srv := redistest.Start(t)
	tiny := func(c *Config) {
		c.WindowEvents, c.WindowMemory = 8, 3000
		c.WindowLinger = 300 * time.Millisecond
	}
	stores := []*testStore{openHealthy(t, srv.URL(), tiny), openHealthy(t, srv.URL(), tiny)}
	channels := []*modelChannel{
		{name: "keep", burst: 30},
		{name: "trim", maxLen: 20, burst: 40},
		{name: "one", maxLen: 1, burst: 3},
		{name: "none", maxLen: -1, burst: 5}, // everything is trimmed at times
	}
	ctx, stop := context.WithTimeout(t.Context(), *modelTime)
	defer stop()
	var publishers, readers sync.WaitGroup
	for i := range 8 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		publishers.Go(func() { publishModel(ctx, t, srv.Client(), rng, channels[i%len(channels)], i) })
	}
	ends := make([]ID, len(channels))
	published := make(chan struct{})
	var failed sync.Mutex
	for i := range 16 {
		rng := rand.New(rand.NewPCG(seed, uint64(100+i)))
		ch := i % len(channels)
		readers.Go(func() {
			start, got := readModel(ctx, t, rng, stores, channels[ch], published, func() ID { return ends[ch] })
			<-published
			failed.Lock()
			defer failed.Unlock()
			if faults := channels[ch].ledger.judge(start, ends[ch], got, retained(t, srv, channels[ch].name)); len(faults) > 0 {
				t.Errorf("seed %d: reader %d of %s, from %s:\n%s", seed, i, channels[ch].name, start, strings.Join(faults[:min(len(faults), 5)], "\n"))
			}
		})
	}
	publishers.Wait()
	for i, c := range channels {
		c.ledger.seal()
		ends[i] = c.ledger.sorted[len(c.ledger.sorted)-1]
		t.Logf("%s: %d entries", c.name, len(c.ledger.sorted))
	}
	close(published)
	readers.Wait()
	for _, s := range stores {
		if s.sweepFinds() != 0 || s.sessions() != 1 {
			t.Errorf("seed %d: %d finds of the sweep, %d sessions", seed, s.sweepFinds(), s.sessions())
		}
	}
}

func retained(t *testing.T, srv *redistest.Server, channel string) map[ID]bool {
	entries, err := srv.Client().XRange(context.Background(), "sse:"+channel, "-", "+").Result()
	if err != nil {
		t.Error(err)
	}
	ids := map[ID]bool{}
	for _, e := range entries {
		ids[mustID(t, e.ID)] = true
	}
	return ids
}

// publishModel adds to a channel, in bursts and pauses.
func publishModel(ctx context.Context, t *testing.T, c *redis.Client, rng *rand.Rand, ch *modelChannel, who int) {
	for n := 0; ctx.Err() == nil; {
		pipe := c.Pipeline()
		var adds []*redis.StringCmd
		var data []string
		for range 1 + rng.IntN(ch.burst) {
			n++
			data = append(data, fmt.Sprintf("%d-%d%s", who, n, strings.Repeat("x", rng.IntN(60))))
			a := &redis.XAddArgs{Stream: "sse:" + ch.name, Values: []any{"data", data[len(data)-1]}}
			if ch.maxLen > 0 && rng.IntN(3) > 0 {
				a.MaxLen, a.Approx = int64(ch.maxLen), rng.IntN(4) == 0
			}
			adds = append(adds, pipe.XAdd(context.Background(), a))
		}
		if ch.maxLen < 0 && rng.IntN(3) == 0 {
			pipe.XTrimMaxLen(context.Background(), "sse:"+ch.name, 0)
		}
		if _, err := pipe.Exec(context.Background()); err != nil {
			t.Errorf("XADD: %v", err)
			return
		}
		for i, a := range adds {
			ch.ledger.add(mustID(t, a.Val()), data[i])
		}
		if rng.IntN(3) > 0 {
			pause(ctx, time.Duration(rng.IntN(12_000))*time.Microsecond)
		}
		if ch.maxLen < 0 && rng.IntN(5) == 0 { // when the tail may have read it all
			c.XTrimMaxLen(context.Background(), "sse:"+ch.name, 0)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// readModel is a client that comes and goes until it has seen the end.
func readModel(ctx context.Context, t *testing.T, rng *rand.Rand, stores []*testStore, ch *modelChannel, published chan struct{}, end func() ID) (start ID, got []item) {
	deadline := time.Now().Add(*modelTime + patience)
	pause(ctx, time.Duration(rng.IntN(500))*time.Millisecond)
	var pos ID
	for visit := 0; ; visit++ {
		r, err := stores[rng.IntN(len(stores))].trySubscribe(t, ch.name)
		if err != nil {
			t.Errorf("Subscribe: %v", err)
			return start, got
		}
		if visit == 0 {
			if err := r.arrive(rng); err != nil {
				t.Errorf("arrive: %v", err)
			}
			start = r.cur.Pos()
		} else {
			r.at(pos)
		}
		over := r.browse(ctx, rng, published, end, deadline)
		got = append(got, r.got...)
		pos = r.cur.Pos()
		r.close()
		if over {
			return start, got
		}
		pause(ctx, time.Duration(rng.IntN(50))*time.Millisecond)
	}
}

// arrive puts the cursor where a new client may want to start.
func (r *reader) arrive(rng *rand.Rand) (err error) {
	switch rng.IntN(4) {
	case 0:
		r.cur, err = r.sub.Last(context.Background(), math.MaxInt)
	case 1:
		r.cur, err = r.sub.Last(context.Background(), rng.IntN(30))
	case 2:
		r.cur = r.sub.Since(time.Now().Add(-time.Duration(rng.IntN(300)) * time.Millisecond))
	}
	return err
}

// browse reads for a while, at some speed, and reports whether all that was
// published was read.
func (r *reader) browse(ctx context.Context, rng *rand.Rand, published chan struct{}, end func() ID, deadline time.Time) (over bool) {
	speed := time.Duration(rng.IntN(4)) * time.Millisecond
	for batches := 1 + rng.IntN(60); batches > 0; batches-- {
		more, err := r.step(context.Background(), 1+rng.IntN(1000))
		if err != nil {
			r.t.Errorf("Fetch: %v", err)
			return true
		}
		pause(ctx, speed)
		if more {
			continue
		}
		select {
		case <-published:
			if !r.cur.Pos().Less(end()) {
				return true
			}
		default:
		}
		if time.Now().After(deadline) {
			r.t.Errorf("the end was not reached: at %s of %s", r.cur.Pos(), end())
			return true
		}
		select {
		case <-r.wake:
		case <-published:
			pause(context.Background(), time.Millisecond)
		}
	}
	return false
}
