package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// The commands for an entry that ends the channel, alone and with data.
func xend(ms int) string     { return fmt.Sprintf("XADD %%[1]s %d-0 end 1", ms) }
func xendData(ms int) string { return fmt.Sprintf("XADD %%[1]s %d-0 data %d end 1", ms, ms) }

// TestEnd asks a replica that has seen everything (warm), and one that opens the
// channel afterwards (cold), at which positions the channel has ended.
func TestEnd(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	const now = "now"
	for name, c := range map[string]struct {
		before, after []string // the end is seen by the warm replica between the two
		warm, cold    string   // the positions that are past the end
	}{
		"the newest entry":      {[]string{x(10), xend(20)}, nil, "[20-0 now]", "[20-0 now]"},
		"with data":             {[]string{x(10), xendData(20)}, nil, "[20-0 now]", "[20-0 now]"},
		"the only entry":        {[]string{xend(20)}, nil, "[20-0 now]", "[20-0 now]"},
		"in the middle":         {[]string{x(10), xend(20), x(30)}, nil, "[]", "[]"},
		"reopened":              {[]string{x(10), xend(20)}, add(30), "[]", "[]"},
		"reopened, ended again": {[]string{x(10), xend(20)}, []string{x(30), xend(40)}, "[40-0 now]", "[40-0 now]"},
		"repeated":              {[]string{x(10), xend(20)}, []string{xend(30)}, "[30-0 now]", "[30-0 now]"},
		"older entries trimmed": {[]string{x(10), xend(20)}, []string{"XTRIM %s MAXLEN 1"}, "[20-0 now]", "[20-0 now]"},
		// Only who has seen the end can know of it.
		"trimmed": {[]string{x(10), xend(20)}, []string{"XTRIM %s MAXLEN 0"}, "[20-0 now]", "[]"},
		// To a replica that opens it now it is a channel that does not exist yet.
		"expired":       {[]string{x(10), xend(20)}, []string{"DEL %s"}, "[20-0 now]", "[]"},
		"begun anew":    {[]string{x(10), xend(20)}, []string{"DEL %s", x(30)}, "[]", "[]"},
		"an older copy": {[]string{x(10), xend(20), x(30)}, multi("DEL %s", x(10), xend(20)), "[20-0 now]", "[20-0 now]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			channel := strings.ReplaceAll(name, " ", "-")
			warm := openHealthy(t, srv.URL(), nil)
			r := warm.subscribe(t, channel)
			run(t, srv, channel, c.before...)
			r.awaitID(lastID(c.before))
			run(t, srv, channel, c.after...)
			settle(t, warm, channel)
			cold := openHealthy(t, srv.URL(), nil)
			r2 := cold.subscribe(t, channel)
			for which, got := range map[string]struct {
				r    *reader
				want string
			}{"warm": {r, c.warm}, "cold": {r2, c.cold}} {
				var ended []string
				for _, at := range []int{10, 20, 30, 40, 50} {
					if cur := got.r.sub.After(ID{Ms: uint64(at), Seq: 0}); cur.Ended() {
						ended = append(ended, cur.Pos().String())
					}
				}
				if cur := got.r.sub.Now(); cur.Ended() {
					ended = append(ended, now)
				}
				if fmt.Sprint(ended) != got.want {
					t.Errorf("%s: ended at %v, want %s", which, ended, got.want)
				}
			}
		})
	}
}

// TestEndIsReached reads to the end on every way: live, from the window, and from
// Redis. A channel has not ended before its last event was returned.
func TestEndIsReached(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowEvents = 2 })
	live := s.subscribe(t, "a")
	run(t, srv, "a", add(10, 20, 30, 40)...)
	live.awaitID("40-0")
	run(t, srv, "a", xendData(50))
	for r, want := range map[*reader]string{
		live: "[10-0 10 20-0 20 30-0 30 40-0 40 50-0 50]",
		s.subscribe(t, "a").at(ID{Ms: 30, Seq: 0}):                              "[40-0 40 50-0 50]", // the window
		s.subscribe(t, "a").at(ID{Ms: 10, Seq: 0}):                              "[20-0 20 30-0 30 40-0 40 50-0 50]",
		openHealthy(t, srv.URL(), nil).subscribe(t, "a").at(ID{Ms: 10, Seq: 0}): "[20-0 20 30-0 30 40-0 40 50-0 50]",
	} {
		if r != live && r.cur.Ended() {
			t.Errorf("after %s the channel has ended before its last event", r.cur.Pos())
		}
		r.await("the end", func() bool { return r.cur.Ended() })
		if got := fmt.Sprint(r.got); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	// Who comes back to a channel that goes on gets the rest.
	run(t, srv, "a", x(60))
	back := s.subscribe(t, "a").at(ID{Ms: 50, Seq: 0})
	back.awaitID("60-0")
	if got := fmt.Sprint(back.got); got != "[60-0 60]" || back.cur.Ended() {
		t.Errorf("after the end: %s, ended %v", got, back.cur.Ended())
	}
}

// TestEndIsKnownWithoutMemory has the windows give up all their entries: what has
// ended stays so.
func TestEndIsKnownWithoutMemory(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowMemory = 1 })
	r := s.subscribe(t, "a")
	run(t, srv, "a", x(10), xendData(20))
	r.await("the end", func() bool { return r.cur.Ended() })
	if got := fmt.Sprint(r.got); got != "[10-0 10 20-0 20]" {
		t.Errorf("got %s", got)
	}
	reads := s.historyReads()
	for range 10 {
		if cur := r.sub.After(ID{Ms: 20, Seq: 0}); !cur.Ended() {
			t.Fatal("the end is forgotten")
		}
	}
	if n := s.historyReads() - reads; n > 0 {
		t.Errorf("%d reads of Redis to know of an end that is known", n)
	}
}

// TestOnlyNewest has cursors that want only the newest entry stand at every kind
// of position, on a replica with the stream in memory and on one without.
func TestOnlyNewest(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	warm := openHealthy(t, srv.URL(), func(c *Config) { c.WindowEvents = 4 })
	for name, c := range map[string]struct {
		cmds []string
		want map[uint64]string // by position
	}{
		"all of it is there": {add(10, 20, 30, 40, 50, 60), map[uint64]string{
			10: "[60-0 60]", 50: "[60-0 60]", 60: "[]"}},
		"most of it is trimmed": {append(add(10, 20, 30, 40, 50, 60), "XTRIM %s MAXLEN 1"), map[uint64]string{
			10: "[60-0 60]", 50: "[60-0 60]", 60: "[]"}},
		"all of it is trimmed":  {append(add(10, 20), "XTRIM %s MAXLEN 0"), map[uint64]string{20: "[]"}},
		"the newest is deleted": {append(add(10, 20, 30), "XDEL %s 30-0"), map[uint64]string{30: "[]"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			channel := strings.ReplaceAll(name, " ", "-")
			r := warm.subscribe(t, channel)
			for _, cmd := range c.cmds {
				run(t, srv, channel, cmd)
			}
			settle(t, warm, channel)
			cold := openHealthy(t, srv.URL(), nil)
			for at, want := range c.want {
				for which, r := range map[string]*reader{"warm": r, "cold": cold.subscribe(t, channel)} {
					r.at(ID{Ms: at, Seq: 0}).cur.Newest = true
					r.drain()
					if got := fmt.Sprint(r.got); got != want {
						t.Errorf("%s, after %d: got %s, want %s", which, at, got, want)
					}
				}
			}
		})
	}
}

// TestOnlyNewestOfABurst publishes ten thousand values to a stream that keeps one,
// under a cursor that reads all the while: it ends with the newest, without a gap
// and without a read of history.
func TestOnlyNewestOfABurst(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowEvents = 4 })
	r := s.subscribe(t, "a")
	r.cur.Newest = true
	pipe := srv.Client().Pipeline()
	const n = 10_000
	for i := range n {
		pipe.Do(t.Context(), "XADD", "sse:a", "MAXLEN", 1, fmt.Sprintf("%d-0", i+1), "data", i)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.awaitID(fmt.Sprintf("%d-0", n))
	for _, it := range r.got {
		if it.gap != nil {
			t.Fatalf("a gap: %s", it)
		}
	}
	if reads := s.historyReads(); reads > 1 { // the channel was opened with one
		t.Errorf("%d reads of history", reads-1)
	}
}

// TestEndIsConfirmed reopens a channel behind the back of a tail that polls once an
// hour: the end is denied at once, and the tail has read what follows it.
func TestEndIsConfirmed(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, redistest.WithConfig("rename-command HELLO NOHELLO"))
	s := openHealthy(t, srv.URL(), func(c *Config) { c.PollInterval = time.Hour })
	run(t, srv, "a", x(10), xend(20))
	r := s.subscribe(t, "a")
	at := r.at(ID{Ms: 20}).cur
	confirm := func() bool {
		t.Helper()
		ended, err := at.ConfirmEnd(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return ended
	}
	if !confirm() {
		t.Fatal("an end is denied")
	}
	run(t, srv, "a", x(30))
	if !at.Ended() {
		t.Fatal("the tail does not lag: this test shows nothing")
	}
	if confirm() {
		t.Error("an end is confirmed that has an entry after it")
	}
	if b, _ := at.Next(1 << 20); len(b.Entries) != 1 || b.Entries[0].ID != (ID{Ms: 30}) {
		t.Errorf("after the end: %+v", b)
	}
	// Who cannot be asked confirms nothing.
	run(t, srv, "a", xend(40))
	r.sub.ch.source.Recheck()
	redistest.Eventually(t, patience, "the tail to see the second end", func() bool { c := r.sub.Now(); return c.Ended() })
	at = r.sub.Now()
	srv.Kill()
	if ended, err := at.ConfirmEnd(t.Context()); ended || err == nil {
		t.Errorf("without Redis: %v, %v", ended, err)
	}
}

// TestEndIsConfirmedWithoutReads confirms ends by what Redis has announced. An entry
// after the end denies it, although its announcement is held up on the way.
func TestEndIsConfirmedWithoutReads(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	proxy := redistest.StartProxy(t, srv.Addr())
	s := openHealthy(t, "redis://"+proxy.Addr(), nil)
	run(t, srv, "a", x(10), xend(20))
	r := s.subscribe(t, "a")
	settle(t, s, "a")
	at := r.at(ID{Ms: 20}).cur
	before := srv.Commandstats()
	for range 10 {
		if ended, err := at.ConfirmEnd(t.Context()); !ended || err != nil {
			t.Fatalf("an end is denied: %v", err)
		}
	}
	after := srv.Commandstats()
	if n := after["xinfo|stream"] + after["xrevrange"] - before["xinfo|stream"] - before["xrevrange"]; n > 0 {
		t.Errorf("%d reads to confirm an end", n)
	}
	proxy.Blackhole()
	run(t, srv, "a", x(30))
	confirmed := make(chan bool)
	go func() {
		ended, err := at.ConfirmEnd(t.Context())
		if err != nil {
			t.Error(err)
		}
		confirmed <- ended
	}()
	proxy.Clear()
	if <-confirmed {
		t.Error("an end is confirmed that has an entry after it")
	}
}
