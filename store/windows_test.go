package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestJoin joins a channel while it is written: what comes after the position
// is complete, whenever that was.
func TestJoin(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowEvents = 16 })
	var l ledger
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			for j, id := range fill(t, srv.Client(), "sse:a", 1+i%5, short) {
				l.add(id, short(j))
			}
		}
	})
	var readers []*reader
	var starts []ID
	for range 30 {
		r := s.subscribe(t, "a")
		readers, starts = append(readers, r), append(starts, r.cur.Pos())
		n := len(r.got)
		r.await("ten events", func() bool { return len(r.got) >= n+10 })
	}
	close(stop)
	wg.Wait()
	l.seal()
	end := l.sorted[len(l.sorted)-1]
	for i, r := range readers {
		r.awaitID(end.String())
		if faults := l.judge(starts[i], end, r.got, l.entriesSet()); len(faults) > 0 {
			t.Fatalf("reader %d: %s", i, strings.Join(faults, "\n"))
		}
	}
}

func (l *ledger) entriesSet() map[ID]bool {
	set := map[ID]bool{}
	for id := range l.entries {
		set[id] = true
	}
	return set
}

// TestManyChannels follows 5,000 channels over a handful of connections.
func TestManyChannels(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), nil)
	const channels = 5000
	readers := make([]*reader, channels)
	var wg sync.WaitGroup
	for w := range 50 {
		wg.Go(func() {
			for i := w; i < channels; i += 50 {
				r, err := s.trySubscribe(t, fmt.Sprint("c", i))
				if err != nil {
					t.Errorf("Subscribe: %v", err)
					return
				}
				readers[i] = r
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	if n := srv.NumClients(); n > 2+2*historyReads {
		t.Errorf("%d connections", n)
	}
	for _, i := range []int{0, 1, 777, channels - 1} {
		readers[i].awaitID(srv.XAdd(fmt.Sprint("sse:c", i), "data", "x"))
	}
	if n := value(s.m.Store.ChannelsActive); n != channels {
		t.Errorf("%v channels", n)
	}
	if s.sessions() != 1 || s.sweepFinds() != 0 {
		t.Errorf("%d sessions, %d finds", s.sessions(), s.sweepFinds())
	}
	for _, r := range readers {
		r.close()
	}
}

// TestWindowIsFull has more events than a window may keep.
func TestWindowIsFull(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowEvents = 4 })
	r := s.subscribe(t, "a")
	ids := fill(t, srv.Client(), "sse:a", 10, short)
	r.awaitID(ids[9].String())
	evicted := s.m.Store.WindowEvictions
	redistest.Eventually(t, patience, "six evictions", func() bool {
		return value(evicted.WithLabelValues("events")) == 6 && value(s.m.Store.WindowEvents) == 4
	})
	if n := value(evicted.WithLabelValues("memory")); n != 0 {
		t.Errorf("%v of them for want of memory", n)
	}
}

// TestSubscriptionIsUse has a subscriber come to the window that had its last
// event before all others: it is not the one that gives way.
func TestSubscriptionIsUse(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowMemory = 100_000 })
	add := func(channel string, n int) {
		t.Helper()
		s.subscribe(t, channel)
		fill(t, srv.Client(), "sse:"+channel, n, func(int) string { return strings.Repeat("x", 1000) })
		redistest.Eventually(t, patience, "the entries of "+channel, func() bool { return s.source(channel).Log.View().Len() == n })
		settle(t, s, channel)
	}
	add("old", 40)
	add("between", 40)
	s.subscribe(t, "old")
	add("new", 25)
	old, between := s.source("old").Log.View().Len(), s.source("between").Log.View().Len()
	if old != 40 || between != 20 {
		t.Errorf("%d entries are left where somebody subscribed, %d in between", old, between)
	}
}

func TestMemoryBudget(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	const budget = 100_000
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowMemory = budget })
	var all []ID
	for i := range 10 {
		r := s.subscribe(t, fmt.Sprint("c", i))
		ids := fill(t, srv.Client(), fmt.Sprint("sse:c", i), 100, func(int) string { return strings.Repeat("x", 1000) })
		r.awaitID(ids[99].String())
		wantIDs(t, r.sub.Channel(), r.got, ids)
		if i == 0 {
			all = ids
		}
		redistest.Eventually(t, patience, "the budget to hold", func() bool { return value(s.m.Store.WindowBytes) <= budget })
	}
	if value(s.m.Store.WindowEvictions.WithLabelValues("memory")) == 0 || s.source("c0").Log.View().Len() != 0 {
		t.Error("the least recently used window has kept its entries")
	}
	r := s.subscribe(t, "c0")
	if r.at(ID{}).drain(); len(r.got) != 100 || r.got[0].id != all[0] {
		t.Errorf("got %d events", len(r.got))
	}
	if n := value(s.m.Store.WindowBytesMax); n != budget {
		t.Errorf("the budget is said to be %v", n)
	}
	// The past of one channel may have a share of the budget, not all of it.
	if n := s.source("c0").Log.View().Bytes(); n > budget/4 {
		t.Errorf("%d bytes of history in a log", n)
	}
}

func TestLinger(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowLinger = 1500 * time.Millisecond })
	r, err := s.trySubscribe(t, "a")
	if err != nil {
		t.Fatal(err)
	}
	id := srv.XAdd("sse:a", "data", "x")
	r.awaitID(id)
	r.close()
	before := s.historyReads()
	again := s.subscribe(t, "a")
	if again.at(ID{}).drain(); !slices.Equal(again.texts(), []string{id + " x"}) || s.historyReads() != before {
		t.Errorf("after %d reads: %v", s.historyReads()-before, again.got)
	}
	again.close()
	redistest.Eventually(t, patience, "the window to close", func() bool {
		return value(s.m.Store.ChannelsActive) == 0 && value(s.m.Store.WindowBytes) == 0 && value(s.m.Store.WindowEvents) == 0
	})
	third := s.subscribe(t, "a")
	if third.cur.Pos() != mustID(t, id) || s.historyReads() != before+1 {
		t.Errorf("a new window is at %s after %d reads", third.cur.Pos(), s.historyReads()-before)
	}
}

// TestWithoutTracking uses the server of dev mode, which has no CLIENT TRACKING.
func TestWithoutTracking(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	m.XAdd("sse:old", "5-0", []string{"data", "x"})
	s := openHealthy(t, "redis://"+m.Addr(), nil)
	empty, old := s.subscribe(t, "empty"), s.subscribe(t, "old")
	add := func(key, id, data string) {
		t.Helper()
		if _, err := m.XAdd(key, id, []string{"data", data}); err != nil {
			t.Fatal(err)
		}
	}
	add("sse:empty", "7-0", "first")
	empty.awaitID("7-0")
	add("sse:old", "6-0", "y")
	old.awaitID("6-0")
	if got := append(empty.texts(), old.texts()...); !slices.Equal(got, []string{"7-0 first", "6-0 y"}) {
		t.Errorf("got %v", got)
	}
	old.at(ID{}).drain()
	if got := old.texts(); !slices.Equal(got, []string{"5-0 x", "6-0 y"}) {
		t.Errorf("history: %v", got)
	}
	m.Del("sse:old")
	s.awaitGone(t, "old")
	add("sse:old", "2-0", "z")
	old.awaitID("2-0")
	if got := old.texts(); !slices.Equal(got, []string{"gap(6-0,0-0 reset)", "2-0 z"}) {
		t.Errorf("after DEL: %v", got)
	}
	if s.sessions() != 1 || s.sweepFinds() != 0 {
		t.Errorf("%d sessions, %d finds of the sweep", s.sessions(), s.sweepFinds())
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	srv := redistest.Start(t)
	server := goleak.IgnoreCurrent()
	s := openHealthy(t, srv.URL(), nil)
	r := s.subscribe(t, "a")
	r.awaitID(srv.XAdd("sse:a", "data", "x"))
	if _, err := r.sub.Last(t.Context(), math.MaxInt); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if _, err := s.Subscribe(t.Context(), "b", r.wake); !errors.Is(err, ErrClosed) {
		t.Errorf("Subscribe after Close: %v", err)
	}
	if _, err := r.at(ID{}).step(context.Background(), 1); err != nil && !errors.Is(err, ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
	if err := redistest.Goroutines(before, server); err != nil {
		t.Error(err)
	}
	redistest.Eventually(t, patience, "the connections to end", func() bool { return srv.NumClients() == 0 })
}

// A subscription that is closed twice ends nobody else's: the channel is followed
// for as long as there is another one.
func TestCloseTwice(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowLinger = time.Nanosecond })
	one, other := s.subscribe(t, "a"), s.subscribe(t, "a")
	one.sub.Close()
	one.sub.Close()
	other.awaitID(srv.XAdd("sse:a", "data", "x"))
}
