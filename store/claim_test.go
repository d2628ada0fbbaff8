package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestRecreated has a stream with the entries 10, 20 and 21 make way for another
// one while clients are away. Then they come back: to a window that has seen it,
// to one that was opened between the two streams or after both, and to one that
// reaches back to the beginning of the new one.
func TestRecreated(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	stores := map[string]*testStore{}
	for _, when := range []string{"warm", "between", "cold", "filled"} {
		stores[when] = openHealthy(t, srv.URL(), nil)
	}
	del := []string{"DEL %s"}
	for name, c := range map[string]struct {
		do, after []string
		at        ID
		want      string // what a client gets who comes back there
		warm      string // from the window that has seen it, if that is something else
	}{
		"an old position":               {del, add(30), ID{Ms: 10, Seq: 0}, "[gap(10-0,29-MAX reset) 30-0 30]", "[gap(10-0,21-0 reset) 30-0 30]"},
		"the last of the old positions": {del, add(30), ID{Ms: 21, Seq: 0}, "[gap(21-0,29-MAX reset) 30-0 30]", "[30-0 30]"},
		"at the first entry":            {del, add(30, 31), ID{Ms: 30, Seq: 0}, "[31-0 31]", ""},
		"between two entries":           {del, add(30, 32), ID{Ms: 31, Seq: 0}, "[32-0 32]", ""},
		"just before the first":         {del, []string{"XADD %s 30-1 data 30"}, ID{Ms: 30, Seq: 0}, "[30-1 30]", ""},
		"from the empty stream":         {del, add(30), ID{}, "[30-0 30]", ""},
		"a moment":                      {del, add(30), ID{Ms: 20, Seq: 0}.Prev(), "[30-0 30]", ""},
		"trimmed since": {del, append(add(30), "XADD %s MAXLEN 1 31-0 data 31"), ID{Ms: 10, Seq: 0},
			"[gap(10-0,30-MAX trimmed) 31-0 31]", "[gap(10-0,21-0 reset) 30-0 30 31-0 31]"},
		// Only who has seen both can tell that 20 and 21 were in the other one.
		"an older copy": {multi("DEL %s", x(10)), add(30), ID{Ms: 20, Seq: 0}, "[30-0 30]", "[gap(20-0,10-0 reset) 30-0 30]"},
	} {
		t.Run(name, func(t *testing.T) {
			channel := strings.ReplaceAll(name, " ", "-")
			run(t, srv, channel, add(10, 20, 21)...)
			warm := stores["warm"].subscribe(t, channel)
			settle(t, stores["warm"], channel)
			run(t, srv, channel, c.do...)
			if len(c.do) == 1 {
				stores["warm"].awaitGone(t, channel)
			} else {
				warm.await("the reset", func() bool { return len(warm.got) > 0 })
			}
			between := stores["between"].subscribe(t, channel)
			settle(t, stores["between"], channel)
			for _, cmd := range c.after {
				run(t, srv, channel, cmd)
				r := srv.Do("XREVRANGE", "sse:"+channel, "+", "-", "COUNT", 1).([]any)
				last := r[0].([]any)[0].(string)
				warm.awaitID(last)
				between.awaitID(last)
			}
			filled := stores["filled"].subscribe(t, channel)
			filled.at(ID{}).drain()
			for when, r := range map[string]*reader{
				"warm": warm, "between": between, "cold": stores["cold"].subscribe(t, channel), "filled": filled,
			} {
				want := c.want
				if when == "warm" && c.warm != "" {
					want = c.warm
				}
				r.at(c.at).drain()
				if got := strings.ReplaceAll(fmt.Sprint(r.got), "-18446744073709551615", "-MAX"); got != want {
					t.Errorf("%s: got %s, want %s", when, got, want)
				}
			}
		})
	}
}

// TestBehindAfterReset resumes at entries of the stream of today that have left the
// window again: that there was another stream before is not news there.
func TestBehindAfterReset(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), func(c *Config) { c.WindowEvents = 4 })
	r := s.subscribe(t, "a")
	run(t, srv, "a", add(10, 20)...)
	r.awaitID("20-0")
	run(t, srv, "a", "DEL %s")
	s.awaitGone(t, "a")
	run(t, srv, "a", add(30, 31, 32, 33, 34, 35, 36)...)
	r.awaitID("36-0")
	for at, want := range map[uint64]string{
		20: "[30-0 30 31-0 31 32-0 32 33-0 33 34-0 34 35-0 35 36-0 36]",
		30: "[31-0 31 32-0 32 33-0 33 34-0 34 35-0 35 36-0 36]",
		31: "[32-0 32 33-0 33 34-0 34 35-0 35 36-0 36]",
	} {
		r.at(ID{Ms: at, Seq: 0}).drain()
		if got := fmt.Sprint(r.got); got != want {
			t.Errorf("after %d: got %s, want %s", at, got, want)
		}
	}
}

// TestReplacedUnnoticed has clients that are behind the window ask for what comes
// next between the replacement of their stream and the tail's noticing of it: the
// gap begins where they are.
func TestReplacedUnnoticed(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	relay := startRelay(t, srv.Addr())
	s := openHealthy(t, srv.URLAt(relay.addr), func(c *Config) { c.WindowEvents = 4 })
	for channel, at := range map[string]ID{"entry": {Ms: 5}, "beginning": {}, "moment": ID{Ms: 5, Seq: 0}.Prev()} {
		r := s.subscribe(t, channel)
		run(t, srv, channel, add(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)...)
		r.awaitID("11-0")
		settle(t, s, channel)
		relay.dropInvalidations.Store(true)
		run(t, srv, channel, "DEL %s", x(20))
		s.forgetPages() // what r may have read there
		slow := s.subscribe(t, channel).at(at)
		slow.drain()
		relay.dropInvalidations.Store(false)
		s.source(channel).Recheck()
		slow.awaitID("20-0")
		if got, want := fmt.Sprint(slow.got), fmt.Sprintf("[gap(%s,0-0 reset) 20-0 20]", at); got != want {
			t.Errorf("%s: got %s, want %s", channel, got, want)
		}
	}
}
