package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// fill adds n entries at one moment and returns their ids.
func fill(t testing.TB, c redis.Cmdable, key string, n int, data func(int) string) []ID {
	t.Helper()
	pipe := c.TxPipeline()
	cmds := make([]*redis.StringCmd, n)
	for i := range n {
		cmds[i] = pipe.XAdd(context.Background(), &redis.XAddArgs{Stream: key, Values: []any{"data", data(i)}})
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		t.Fatalf("XADD: %v", err)
	}
	ids := make([]ID, n)
	for i, c := range cmds {
		ids[i] = mustID(t, c.Val())
	}
	return ids
}

func short(i int) string { return fmt.Sprint(i) }

// wantIDs checks that a reader got exactly these events.
func wantIDs(t testing.TB, what string, got []item, want []ID) {
	t.Helper()
	for i, it := range got {
		if it.gap != nil || i >= len(want) || it.id != want[i] {
			t.Fatalf("%s: item %d is %s, want %v", what, i, it, want[min(i, len(want)):])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d events, want %d", what, len(got), len(want))
	}
}

// TestStarts is where streams may start, in the window and beyond it.
func TestStarts(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	var ids []ID
	for i := range 40 { // at 40 moments, in milliseconds
		ids = append(ids, mustID(t, srv.Do("XADD", "sse:a", fmt.Sprintf("%d-0", 1000+10*i), "data", "x").(string)))
	}
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowEvents = 8 })
	r := s.subscribe(t, "a")
	for i := range 10 {
		ids = append(ids, mustID(t, srv.Do("XADD", "sse:a", fmt.Sprintf("%d-0", 2000+10*i), "data", "x").(string)))
	}
	r.awaitID(ids[49].String())
	wantIDs(t, "Now", r.got, ids[40:])
	// A reader that was behind may have got it from history.
	redistest.Eventually(t, patience, "the window to have it too", func() bool { return s.source("a").Log.View().Head() == ids[49] })
	ctx := t.Context()
	must := func(c Cursor, err error) Cursor {
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for name, c := range map[string]struct {
		cur  Cursor
		want []ID
	}{
		"all":                     {must(r.sub.Last(ctx, math.MaxInt)), ids},
		"last 0":                  {must(r.sub.Last(ctx, 0)), nil},
		"last 3":                  {must(r.sub.Last(ctx, 3)), ids[47:]},
		"last 8":                  {must(r.sub.Last(ctx, 8)), ids[42:]},
		"last 20":                 {must(r.sub.Last(ctx, 20)), ids[30:]},
		"last 1000":               {must(r.sub.Last(ctx, 1000)), ids},
		"after the end":           {r.sub.After(ids[49]), nil},
		"after one":               {r.sub.After(ids[45]), ids[46:]},
		"after an old one":        {r.sub.After(ids[20]), ids[21:]},
		"after a lost one":        {r.sub.After(ids[20].Next()), ids[21:]},
		"after 0-0":               {r.sub.After(ID{}), ids},
		"since the epoch":         {r.sub.Since(time.UnixMilli(0)), ids},
		"since before it":         {r.sub.Since(time.UnixMilli(-5)), ids},
		"since an entry":          {r.sub.Since(time.UnixMilli(1100)), ids[10:]},
		"since just after one":    {r.sub.Since(time.UnixMilli(1101)), ids[11:]},
		"since the future":        {r.sub.Since(time.Now()), nil},
		"since one in the window": {r.sub.Since(time.UnixMilli(2080)), ids[48:]},
	} {
		r.cur, r.got = c.cur, nil
		r.drain()
		wantIDs(t, name, r.got, c.want)
	}
	empty := s.subscribe(t, "empty")
	for name, c := range map[string]Cursor{"all": must(empty.sub.Last(ctx, math.MaxInt)), "last": must(empty.sub.Last(ctx, 9)), "since": empty.sub.Since(time.Now())} {
		empty.cur = c
		if empty.drain(); len(empty.got) != 0 {
			t.Errorf("%s of an empty channel: %v", name, empty.got)
		}
	}
}

// TestPages reads a stream of many pages, with every size of the last one.
func TestPages(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowEvents = 4 })
	for _, n := range []int{pageMost - 1, pageMost, pageMost + 1, 3*pageMost + 7} {
		channel := fmt.Sprint("c", n)
		ids := fill(t, srv.Client(), "sse:"+channel, n, short)
		r := s.subscribe(t, channel)
		r.at(ID{}).drain()
		wantIDs(t, channel, r.got, ids)
	}
	// Large entries after a small one: pages get shorter as the store learns.
	fill(t, srv.Client(), "sse:big", 100, func(int) string { return strings.Repeat("x", 50_000) })
	r := s.subscribe(t, "big")
	before := s.historyReads()
	if r.at(ID{}).drain(); len(r.got) != 100 || s.historyReads()-before < 25 {
		t.Errorf("%d events in %d reads", len(r.got), s.historyReads()-before)
	}
}

// TestBurst adds more than one read of the tail takes.
func TestBurst(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowEvents = 5000 })
	r := s.subscribe(t, "a")
	ids := fill(t, srv.Client(), "sse:a", 3*pageMost+5, short)
	r.awaitID(ids[len(ids)-1].String())
	wantIDs(t, "burst", r.got, ids)
}

func TestOneReadForAThousand(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	ids := fill(t, srv.Client(), "sse:a", 300, short)
	s := openHealthy(t, srv.URL(), nil)
	first := s.subscribe(t, "a")
	before, pages := s.historyReads(), srv.Commandstats()["xinfo|stream"]
	// All at one position. Whoever comes after the read finds the window filled.
	storm(t, first.sub, ids, 1000, func(int) int { return 250 })
	if n := s.historyReads() - before; n != 1 {
		t.Errorf("%d reads for a thousand clients at one position", n)
	}
	if n := srv.Commandstats()["xinfo|stream"] - pages; n > 2 { // with the tail's first look at the stream
		t.Errorf("Redis counts %d", n)
	}
	// A storm: positions all over the last hundred. Each read fills the window
	// from where it began, so most find their past there.
	before = s.historyReads()
	storm(t, first.sub, ids, 1000, func(i int) int { return 199 + i%99 })
	if n := s.historyReads() - before; n > 60 {
		t.Errorf("%d reads for a thousand clients at a hundred positions", n)
	}
}

// storm has clients come back at once, each at the position of an entry, and
// checks that each gets what follows it there.
func storm(t *testing.T, sub *Subscription, ids []ID, clients int, from func(int) int) {
	t.Helper()
	last := len(ids) - 1
	var wg sync.WaitGroup
	for i := range clients {
		r := &reader{t: t, sub: sub, wake: make(signalWaker, 1)}
		r.at(ids[from(i)])
		wg.Go(func() {
			for more, err := true, error(nil); more; { // not drain, which may fail the test: this is not its goroutine
				// A read that a slow machine does not come to in time is refused, and
				// the client tries again, as a stream does.
				if more, err = r.step(context.Background(), 1<<16); errors.Is(err, ErrUnavailable) {
					pause(context.Background(), 10*time.Millisecond)
					more = true
				}
			}
			if len(r.got) != last-from(i) || r.got[0].gap != nil || r.got[len(r.got)-1].id != ids[last] {
				t.Errorf("client %d after entry %d got %d events", i, from(i), len(r.got))
			}
		})
	}
	wg.Wait()
}

// TestStormFarBehind has clients come back to what no window holds: each part of
// it is read about once, however many they are and at however many positions.
func TestStormFarBehind(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	const clients = 400
	ids := fill(t, srv.Client(), "sse:a", 1600, short)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowEvents, c.keepPages = 16, time.Hour })
	first := s.subscribe(t, "a")
	reads := func(from func(int) int) int {
		t.Helper()
		s.forgetPages()
		before := s.historyReads()
		storm(t, first.sub, ids, clients, from)
		return s.historyReads() - before
	}
	// 128, 256, twice 512 and the rest.
	one := reads(func(int) int { return 100 })
	// The first in a stretch reads it, and those that stand in it share that.
	each := reads(func(i int) int { return 100 + i })
	t.Logf("%d reads for %d clients at one position, %d at one each", one, clients, each)
	if one != 5 || each > 60 {
		t.Errorf("%d reads for %d clients at one position, %d at one each", one, clients, each)
	}
}

// TestStormTrimmed has clients come back to what retention has passed: that they
// were at different positions makes no difference to what they get.
func TestStormTrimmed(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	const clients, left = 400, 100
	ids := fill(t, srv.Client(), "sse:a", clients+left, short)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowEvents, c.keepPages = 16, time.Hour })
	first := s.subscribe(t, "a")
	srv.Do("XTRIM", "sse:a", "MAXLEN", left)
	before := s.historyReads()
	got := make([][]item, clients)
	var wg sync.WaitGroup
	for i := range got {
		r := &reader{t: t, sub: first.sub, wake: make(signalWaker, 1)}
		r.at(ids[i])
		wg.Go(func() {
			for more, err := true, error(nil); more && err == nil; {
				more, err = r.step(context.Background(), 1<<16)
			}
			got[i] = r.got
		})
	}
	wg.Wait()
	for i, got := range got {
		what, gap := fmt.Sprint("client ", i), gapUnlessNext(ids[i], ids[clients])
		if gap != "" {
			if len(got) == 0 || got[0].String() != gap {
				t.Fatalf("%s: got %v, want %s first", what, got[:min(len(got), 3)], gap)
			}
			got = got[1:]
		}
		wantIDs(t, what, got, ids[clients:])
	}
	if n := s.historyReads() - before; n > 2*historyReads {
		t.Errorf("%d reads for %d clients", n, clients)
	}
}

// TestPagesExpire reads a page, which the janitor lets go.
func TestPagesExpire(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	ids := fill(t, srv.Client(), "sse:a", 100, short)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowEvents, c.keepPages = 16, time.Millisecond })
	r := s.subscribe(t, "a")
	r.at(ids[0]).drain()
	redistest.Eventually(t, patience, "the page to be let go", func() bool { return s.pages.Find(r.sub.log, r.sub.log.View().Epoch(), ids[0]) == nil })
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.MaxEventBytes = 100 })
	r := s.subscribe(t, "a")
	srv.XAdd("sse:a", "data", strings.Repeat("x", 96)) // 100 with its name
	large := mustID(t, srv.XAdd("sse:a", "data", strings.Repeat("x", 97)))
	last := srv.XAdd("sse:a", "data", "y")
	r.awaitID(last)
	for _, got := range [][]item{r.got, func() []item { r.at(ID{}).drain(); return r.got }()} {
		if len(got) != 3 || got[0].gap != nil || got[1].gap == nil || *got[1].gap != (Gap{After: large.Prev(), Resumed: large, Reason: "too_large"}) || got[2].gap != nil {
			t.Errorf("got %v", got)
		}
	}
	srv.XAdd("sse:a", "event", "bad", "data", "z")
	redistest.Eventually(t, patience, "the dropped name to be counted", func() bool { return value(s.m.Store.EventNamesDropped) == 1 })
}

func TestWrongType(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.Do("SET", "sse:a", "x")
	s := openHealthy(t, srv.URL(), nil)
	if _, err := s.trySubscribe(t, "a"); !errors.Is(err, ErrWrongType) {
		t.Errorf("Subscribe: %v", err)
	}
	srv.Do("DEL", "sse:a")
	r := s.subscribe(t, "a")
	srv.Do("SET", "sse:a", "x")
	if _, err := r.sub.Last(t.Context(), math.MaxInt); !errors.Is(err, ErrWrongType) {
		t.Errorf("All: %v", err)
	}
	if _, err := r.sub.Last(t.Context(), 5); !errors.Is(err, ErrWrongType) {
		t.Errorf("Last: %v", err)
	}
	// The window that is open knows it, too, and that it is over.
	subscribes := func(want error) func() bool {
		return func() bool {
			sub, err := s.trySubscribe(t, "a")
			if err == nil {
				sub.close()
			}
			return errors.Is(err, want)
		}
	}
	redistest.Eventually(t, patience, "ErrWrongType while the channel is tailed", subscribes(ErrWrongType))
	srv.Do("DEL", "sse:a")
	srv.XAdd("sse:a", "data", "x")
	redistest.Eventually(t, patience, "the stream to be one again", subscribes(nil))
}

// TestColdGaps resumes at positions that the stream does not cover any more.
func TestColdGaps(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	ids := fill(t, srv.Client(), "sse:a", 30, short)
	s := openHealthy(t, srv.URL(), nil)
	r := s.subscribe(t, "a")
	srv.Do("XTRIM", "sse:a", "MAXLEN", 10)
	future := ID{Ms: ids[29].Ms + 1_000_000, Seq: 0}
	for name, c := range map[string]struct {
		at   ID
		gap  string
		want []ID
	}{
		"covered":  {ids[20], "", ids[21:]},
		"trimmed":  {ids[5], fmt.Sprintf("gap(%s,%s trimmed)", ids[5], ids[20].Prev()), ids[20:]},
		"from 0-0": {ID{}, fmt.Sprintf("gap(0-0,%s trimmed)", ids[20].Prev()), ids[20:]},
		"ahead":    {future, fmt.Sprintf("gap(%s,%s reset)", future, ids[29]), nil},
		// Whether what was trimmed was before or after it cannot be told.
		"at the edge": {ids[19], gapUnlessNext(ids[19], ids[20]), ids[20:]},
	} {
		r.at(c.at).drain()
		if c.gap != "" {
			if len(r.got) == 0 || r.got[0].String() != c.gap {
				t.Errorf("%s: got %v, want %s first", name, r.got, c.gap)
				continue
			}
			r.got = slices.Delete(r.got, 0, 1)
		}
		wantIDs(t, name, r.got, c.want)
	}
}

// gapUnlessNext is the conservative gap between two neighbours, of which there
// is none if no id is between them.
func gapUnlessNext(a, b ID) string {
	if a.Next() == b {
		return ""
	}
	return fmt.Sprintf("gap(%s,%s trimmed)", a, b.Prev())
}

// anything has a relay hold back whatever comes next.
func anything([]byte) bool { return true }

// TestHistoryStaysBehindTheTail holds the tail back while history has entries
// that the tail has not read: they are left to the tail, which alone can tell if
// they are lost again.
func TestHistoryStaysBehindTheTail(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	ids := fill(t, srv.Client(), "sse:a", 10, short)
	relay := startRelay(t, srv.Addr())
	s := openHealthy(t, srv.URLAt(relay.addr), nil)
	r := s.subscribe(t, "a")
	settle(t, s, "a")
	held, goOn := relay.tailHold.arm(anything)
	ids = append(ids, fill(t, srv.Client(), "sse:a", 5, short)...)
	<-held
	r.at(ID{}).drain()
	got := r.got
	goOn()
	wantIDs(t, "while the tail is held", got, ids[:10])
	r.awaitID(ids[14].String())
	wantIDs(t, "afterwards", r.got, ids)
}

// TestStaleIsNotShared holds the tail back after a stream has been replaced by one
// that ends before the window does. What history has of that is no answer, however
// often it is asked for.
func TestStaleIsNotShared(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	relay := startRelay(t, srv.Addr())
	s := openHealthy(t, srv.URLAt(relay.addr), func(c *Config) { c.WindowEvents = 4 })
	r := s.subscribe(t, "a")
	run(t, srv, "a", add(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)...)
	r.awaitID("10-0")
	settle(t, s, "a")
	s.forgetPages() // what r may have read there
	held, goOn := relay.tailHold.arm(anything)
	run(t, srv, "a", multi("DEL %s", x(3))...)
	<-held
	r.at(ID{Ms: 2, Seq: 0})
	for range 3 {
		if b, err := r.cur.Fetch(t.Context()); !errors.Is(err, ErrStale) {
			t.Errorf("while the tail is held: %v, %v", b, err)
		}
	}
	goOn()
	r.awaitID("3-0")
	if got, want := fmt.Sprint(r.got), "[gap(2-0,0-0 reset) 3-0 3]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestResetMeanwhile has the tail notice that a stream was replaced while a page of
// the new one is on its way to a client: what the page has comes after the gap.
func TestResetMeanwhile(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	relay := startRelay(t, srv.Addr())
	s := openHealthy(t, srv.URLAt(relay.addr), func(c *Config) { c.WindowEvents = 4 })
	tail := s.subscribe(t, "a")
	run(t, srv, "a", add(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)...)
	tail.awaitID("10-0")
	settle(t, s, "a")
	s.forgetPages() // what the reader may have read there
	relay.dropInvalidations.Store(true)
	run(t, srv, "a", multi("DEL %s", x(1), x(2), x(3), "XADD %s 6-5 data other", x(12))...)
	r := s.subscribe(t, "a").at(ID{Ms: 5, Seq: 0})
	held, goOn := relay.historyHold.arm(func(b []byte) bool { return bytes.Contains(b, []byte("6-5")) })
	var b Batch
	var err error
	var fetch sync.WaitGroup
	fetch.Go(func() { b, err = r.cur.Fetch(t.Context()) })
	<-held
	relay.dropInvalidations.Store(false)
	s.source("a").Recheck()
	tail.awaitID("12-0")
	goOn()
	if fetch.Wait(); b.Gap != nil || len(b.Entries) > 0 || err != nil {
		t.Errorf("of a page that may be of either stream: %v, %v", b, err)
	}
	r.awaitID("12-0")
	if got, want := fmt.Sprint(r.got), "[gap(5-0,5-0 reset) 6-5 other 12-0 12]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestPageEndsWhereTheTailIs has clients share a page that was read while the tail
// was behind. What it had beyond the tail was lost by a failover to an older copy,
// which the tail had no way to notice, and other entries have come in its place.
func TestPageEndsWhereTheTailIs(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	relay := startRelay(t, srv.Addr())
	s := openHealthy(t, srv.URLAt(relay.addr), func(c *Config) { c.WindowEvents, c.keepPages = 4, time.Hour })
	old := add(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	tail := s.subscribe(t, "a")
	run(t, srv, "a", old...)
	tail.awaitID("10-0")
	settle(t, s, "a")
	s.forgetPages() // what the reader may have read there
	relay.dropInvalidations.Store(true)
	run(t, srv, "a", add(11, 12, 13, 14, 15)...)
	r := s.subscribe(t, "a").at(ID{Ms: 2, Seq: 0})
	r.drain()
	run(t, srv, "a", multi(append(append([]string{"DEL %s"}, old...), x(12), "XADD %s 13-5 data other", x(16))...)...)
	relay.dropInvalidations.Store(false)
	s.source("a").Recheck()
	tail.awaitID("16-0")
	before := s.historyReads()
	r.at(ID{Ms: 5, Seq: 0}).drain()
	if got, want := fmt.Sprint(r.got), "[6-0 6 7-0 7 8-0 8 9-0 9 10-0 10 12-0 12 13-5 other 16-0 16]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n := s.historyReads() - before; n != 0 {
		t.Errorf("%d reads: no page was shared", n)
	}
}
