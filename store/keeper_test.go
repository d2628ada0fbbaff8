package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// feed gives a reply to a keeper in random pieces, by both ways in.
func feed(t *testing.T, rng *rand.Rand, k *keeper, reply []byte) {
	t.Helper()
	for len(reply) > 0 {
		n := min(len(reply), 1+rng.IntN(1+rng.IntN(40_000)))
		var err error
		if rng.IntN(2) == 0 {
			_, err = k.Write(reply[:n])
		} else {
			r := io.Reader(bytes.NewReader(reply[:n]))
			if rng.IntN(2) == 0 {
				r = iotest.HalfReader(r)
			}
			_, err = k.ReadFrom(io.LimitReader(r, int64(n)))
		}
		if err != nil {
			t.Fatal(err)
		}
		reply = reply[n:]
	}
}

// randomEntries makes entries, of which some are large, some too large, and some
// of nothing but empty fields.
func randomEntries(rng *rand.Rand, maxEvent int) (es []rawEntry) {
	large := rng.IntN(4) == 0
	for i := range rng.IntN(60) {
		e := rawEntry{id: ID{1000, uint64(i + 1)}}
		n, size := 2*rng.IntN(3), rng.IntN(300)
		switch k := rng.IntN(100); {
		case k < 10:
			size = rng.IntN(2 * maxEvent)
		case k == 10:
			n, size = 2*rng.IntN(50_000), 0
		case large:
			size = rng.IntN(maxEvent)
		}
		for range n {
			e.fields = append(e.fields, make([]byte, size/max(n, 1)))
			e.size += size / max(n, 1)
		}
		es = append(es, e)
	}
	return es
}

// TestKeeper gives replies to keepers and compares what they keep: a prefix, of
// the size that is allowed and at least one entry, and of what is too large the
// ids; everything that came in between as it was.
func TestKeeper(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 4))
		maxEvent := 1 + rng.IntN(1+rng.IntN(200_000))
		es := randomEntries(rng, maxEvent)
		texts := make([]string, len(es))
		for i := range es {
			texts[i] = respEntry(es[i])
		}
		room := 1 + rng.IntN(2*replyBytes)
		before := room
		came, kept := 0, 0
		k := &keeper{fields: true, maxEvent: maxEvent, room: &room, report: func(k *keeper) { kept, came = len(k.b), k.came }}
		anchor := -1
		if len(es) > 0 && rng.IntN(2) == 0 {
			anchor = 0
			k.anchor = respBulk([]byte(es[0].id.String()))
		}
		reply := respArray(texts...)
		if k.exec = rng.IntN(2) == 0; k.exec {
			info := respArray(respBulk([]byte("length")), ":3\r\n", respBulk([]byte("first-entry")), respEntry(rawEntry{id: ID{1, 1}, fields: [][]byte{make([]byte, maxEvent), nil}}), respBulk([]byte("last-entry")), "*-1\r\n")
			reply = respArray(info, reply)
		}
		feed(t, rng, k, []byte(reply))
		if came != len(reply) || kept != len(k.b) {
			t.Fatalf("seed %d: it says that %d of %d bytes were kept, they are %d of %d", seed, kept, came, len(k.b), len(reply))
		}
		r := respReader{k.b}
		if k.exec {
			if n, err := r.array(); n != 2 || err != nil {
				t.Fatalf("seed %d: an array of %d, %v", seed, n, err)
			}
			if info, err := r.streamInfo(); err != nil || info.length != 3 || info.first != (ID{1, 1}) || info.size != 0 {
				t.Fatalf("seed %d: %+v, %v", seed, info, err)
			}
		}
		checkKept(t, seed, &r, es, anchor, maxEvent, before)
		if limit := max(replyBytes, entryLimit(maxEvent)) + 100*(len(es)+4); len(k.b) > limit || before-room > before+entryLimit(maxEvent) {
			t.Fatalf("seed %d: %d bytes are kept, more than %d; %d of the room of %d", seed, len(k.b), limit, before-room, before)
		}
	}
}

func checkKept(t *testing.T, seed uint64, r *respReader, es []rawEntry, anchor, maxEvent, room int) {
	t.Helper()
	i, wire := 0, 0
	got, err := r.entries(func(e rawEntry) {
		want := es[i]
		long := len(respEntry(want)) - len(respBulk([]byte(want.id.String()))) - len("*2\r\n")
		tooLarge := want.size > maxEvent || long > entryLimit(maxEvent)
		switch {
		case e.id != want.id || e.size != want.size || e.tooLarge != (tooLarge && i != anchor):
			t.Fatalf("seed %d: entry %d is %s, %d bytes, %v; want %s, %d bytes, %v", seed, i, e.id, e.size, e.tooLarge, want.id, want.size, tooLarge)
		case i == anchor || tooLarge:
			if e.fields != nil {
				t.Fatalf("seed %d: entry %d has fields", seed, i)
			}
		case !slices.EqualFunc(e.fields, want.fields, bytes.Equal):
			t.Fatalf("seed %d: entry %d has other fields", seed, i)
		default:
			if wire > 0 && wire+long > min(replyBytes, max(room, 0)) {
				t.Fatalf("seed %d: entry %d of %d bytes is kept after %d", seed, i, long, wire)
			}
			wire += long
		}
		i++
	})
	bytes := 0
	for _, e := range es {
		bytes += e.size
	}
	if err != nil || got != (reading{i, i < len(es), len(es), bytes}) || len(r.b) > 0 {
		t.Fatalf("seed %d: %+v, %v, after %d of %d entries of %d bytes; rest %q", seed, got, err, i, len(es), bytes, r.b)
	}
	if got.cut && wire == 0 {
		t.Fatalf("seed %d: nothing is kept", seed)
	}
}

// replies is what the replies of a store were.
type replies struct {
	mu         sync.Mutex
	n          int
	kept, came int // of the largest, in bytes
	cameAll    int // all together
	room       int // the least that was left of a round
}

func (r *replies) count(k *keeper) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	r.kept, r.came = max(r.kept, len(k.b)), max(r.came, k.came)
	r.cameAll += k.came
	if k.room != nil {
		r.room = min(r.room, *k.room)
	}
}

// all returns how many bytes came so far.
func (r *replies) all() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cameAll
}

// hostileSizes are sequences of sizes that no average foretells, with a limit of
// 64 KiB for an event.
var hostileSizes = map[string]func(int) int{
	"tiny, then large":             func(i int) int { return []int{3, 60_000}[i/1200] },
	"tiny, then too large":         func(i int) int { return []int{3, 300_000}[i/1320] },
	"alternating":                  func(i int) int { return []int{3, 60_000}[i%2*(i/1100)] },
	"large, tiny, large":           func(i int) int { return []int{60_000, 3, 60_000}[(i+500)/650] },
	"runs that double":             func(i int) int { return []int{3, 60_000}[bitsOf(i)%2*min(1, i/900)] },
	"one in ten":                   func(i int) int { return []int{3, 60_000}[(i%10)/9] },
	"larger and larger, and again": func(i int) int { return 1 << (i % 16) },
}

func bitsOf(i int) (n int) {
	for ; i > 0; i >>= 1 {
		n++
	}
	return n
}

// TestHostileSizes reads streams whose events have sizes that nothing foretells,
// live and from history, forwards and backwards. No reply may make the store
// keep more than the invariant of keeper says, and every event must come, once,
// in order.
func TestHostileSizes(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	const n, maxEvent = 1400, 64 << 10
	for name, size := range hostileSizes {
		channel := strings.NewReplacer(" ", "-", ",", "").Replace(name)
		t.Run(channel, func(t *testing.T) {
			var got replies
			s := openHealthy(t, srv.URL(), func(c *Config) {
				c.MaxEventBytes, c.WindowEvents, c.WindowMemory = maxEvent, 64, 1<<20
				c.onReply = got.count
			})
			r := s.subscribe(t, channel)
			key := "sse:" + channel
			total := 0
			data := func(i int) string { total += size(i); return strings.Repeat("x", size(i)) }
			ids := fill(t, srv.Client(), key, n, data)
			r.awaitID(ids[n-1].String()) // from the tail, or from pages if it is overtaken
			check := func(what string, from int) {
				t.Helper()
				for i, it := range r.got {
					tooLarge := from+i < n && size(from+i)+len("data") > maxEvent
					if from+i >= n || !tooLarge && (it.gap != nil || it.id != ids[from+i]) || tooLarge && (it.gap == nil || it.gap.Resumed != ids[from+i]) {
						t.Fatalf("%s: item %d of %d is %.60s", what, i, len(r.got), it)
					}
				}
				if len(r.got) != n-from {
					t.Fatalf("%s: %d events, want %d", what, len(r.got), n-from)
				}
			}
			check("live", 0)
			before := got.all()
			r.at(ID{}).drain()
			check("from the start", 0)
			if came := got.all() - before; came > 4*total+firstEntries*maxEvent {
				t.Errorf("%d bytes were read for %d", came, total)
			}
			for _, last := range []int{1, 200, n - 1} {
				var err error
				if r.cur, err = r.sub.Last(context.Background(), last); err != nil {
					t.Fatal(err)
				}
				r.got = nil
				r.drain()
				check(fmt.Sprint("the last ", last), n-last)
			}
			if limit := entryLimit(maxEvent) + 100*(pageEntries+1); got.kept > limit {
				t.Errorf("%d bytes of one reply were kept, more than %d", got.kept, limit)
			}
			t.Logf("%d replies; the largest: %d bytes came, %d were kept", got.n, got.came, got.kept)
		})
	}
}

// TestRoundIsBounded has more to read in one round of the tail than it may keep:
// what there is no room for is read in the next ones, and not taken for trimmed,
// as the entry before it was.
func TestRoundIsBounded(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	const channels, each = 32, 900_000 // more than a round keeps
	got := replies{room: roundBytes}
	armed := make(chan *node, 1)
	s := openHealthy(t, srv.URL(), func(c *Config) {
		c.onReply = func(k *keeper) {
			got.count(k)
			select {
			case n := <-armed: // the next round is to have all channels, as that of a new session
				n.enqueueAll(readChecked)
			default:
			}
		}
	})
	var readers []*reader
	for i := range channels {
		readers = append(readers, s.subscribe(t, fmt.Sprint("c", i)))
	}
	settle(t, s, "c0")
	armed <- s.windowOf("c0").node.Load()
	pipe := srv.Client().TxPipeline() // all at once
	for _, r := range readers {
		pipe.Do(t.Context(), "XADD", "sse:"+r.sub.Channel(), "*", "data", "trimmed")
		pipe.Do(t.Context(), "XADD", "sse:"+r.sub.Channel(), "MAXLEN", 1, "*", "data", strings.Repeat("x", each))
	}
	cmds, err := pipe.Exec(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range readers {
		want := []ID{mustID(t, cmds[2*i+1].(*redis.Cmd).Val().(string))}
		r.awaitID(want[0].String())
		if gap := r.got[0].gap; gap == nil || gap.Resumed != want[0].Prev() {
			t.Fatalf("%s begins with %.60s", r.sub.Channel(), r.got[0])
		}
		wantIDs(t, r.sub.Channel(), r.got[1:], want)
	}
	got.mu.Lock()
	defer got.mu.Unlock()
	if got.room > 0 || got.room < -entryLimit(1<<20) {
		t.Errorf("the room of a round was down to %d bytes", got.room)
	}
	if s.sweepFinds() != 0 {
		t.Errorf("%d finds of the sweep", s.sweepFinds())
	}
}
