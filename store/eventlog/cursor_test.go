package eventlog

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// TestCursorModel moves cursors over a log that grows, is evicted from, is reset
// and vanishes, and checks each step against the log's content.
func TestCursorModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 3))
		l := newLog(at(100))
		m := &naiveLog{known: redisstream.Known{Head: at(100)}, floor: at(100), size: map[ID]int{}}
		cs := []Cursor{l.Now(), l.From(at(200)), l.At(at(90)), l.At(at(100)), l.At(at(110))}
		for step := range 200 {
			randomChange(rng, l, m)
			i := rng.IntN(len(cs))
			if fault := nextOnce(l, &cs[i], m, rng.IntN(10_000)); fault != "" {
				t.Fatalf("seed %d step %d cursor %d: %s", seed, step, i, fault)
			}
			if rng.IntN(40) == 0 {
				cs[i] = l.At(at(m.head().Ms + 3 - rng.Uint64N(min(m.head().Ms, 30)+1)))
			}
		}
	}
}

// nextOnce calls Next and compares what comes with the model.
func nextOnce(l *Log, c *Cursor, m *naiveLog, maxBytes int) (fault string) {
	pos, epoch, check, idle := c.pos, c.epoch, c.check, l.Idle(c)
	b, state := l.Next(c, maxBytes)
	resumed, missed := m.resumed(pos, epoch)
	switch {
	case c.epoch != m.epoch:
		return "it is not in the log's epoch"
	case missed:
		if state != Ready || b.Gap == nil || *b.Gap != (Gap{"c", pos, resumed, metrics.GapReset}) || len(b.Entries) > 0 || c.pos != resumed || c.check || idle {
			return fmt.Sprintf("after a reset to %s: %+v, %v", resumed, b, state)
		}
		return ""
	case b.Gap != nil:
		return fmt.Sprintf("a gap %+v for no reason", *b.Gap)
	case pos.Less(m.floor) || check && m.isStrange(pos):
		if state != Behind || c.pos != pos || len(b.Entries) > 0 || idle {
			return fmt.Sprintf("at %s of (%s,%s]: %+v, %v", pos, m.floor, m.head(), b, state)
		}
		return ""
	case m.known.Gone && state == Behind:
		return "it is behind a stream that does not exist"
	}
	want := m.after(pos)
	if len(want) == 0 {
		// The position never goes back, and not past the head.
		if state != UpToDate || len(b.Entries) > 0 || c.pos != pos && c.pos != m.head() || c.pos.Less(pos) || idle && c.pos != pos {
			return fmt.Sprintf("at %s with nothing to come: %+v, %v, now at %s", pos, b, state, c.pos)
		}
		return ""
	}
	size := 0
	for i, e := range b.Entries {
		if e.ID != want[i] {
			return fmt.Sprintf("at %s: entry %d is %s, want %s", pos, i, e.ID, want[i])
		}
		size += len(e.Frame)
	}
	n := len(b.Entries)
	switch {
	case state != Ready || n == 0 || c.pos != want[n-1] || idle:
		return fmt.Sprintf("%+v, %v, now at %s", b, state, c.pos)
	case cap(b.Entries) != n:
		return fmt.Sprintf("%d entries with room for %d: an append would write into the log", n, cap(b.Entries))
	case n > 1 && size > maxBytes:
		return fmt.Sprintf("%d bytes in %d entries, more than %d", size, n, maxBytes)
	case n < len(want) && size+m.size[want[n]]-entryOverhead <= maxBytes:
		return "there was room for one more"
	}
	return ""
}

// isStrange reports whether a position is one that the log cannot vouch for:
// beyond it, or between its floor and its first entry.
func (m *naiveLog) isStrange(pos ID) bool {
	if m.head().Less(pos) {
		return true
	}
	es := m.after(m.floor)
	return pos != m.floor && pos != m.head() && pos.NamesEntry() && !m.isVanishedAt(pos) && (len(es) == 0 || pos.Next().Less(es[0]))
}

// read takes all that the log has for a cursor: "gap(10-0,0-0) 30 31 behind".
func read(l *Log, c *Cursor) string {
	var got []string
	for range 100 {
		b, state := l.Next(c, 1)
		if b.Gap != nil {
			got = append(got, fmt.Sprintf("gap(%s,%s)", short(b.Gap.After), short(b.Gap.Resumed)))
		}
		for _, e := range b.Entries {
			got = append(got, short(e.ID))
		}
		if state == Behind {
			got = append(got, "behind")
		}
		if state != Ready {
			return strings.Join(got, " ")
		}
	}
	panic("it does not end")
}

func short(id ID) string {
	return strings.NewReplacer("-0", "", "-18446744073709551615", "-MAX").Replace(id.String())
}

// TestVanished follows a stream with 10, 20 and 21 that is deleted, and a new one
// with 30 and 31 in its place: what cursors of before it get, and clients that
// come back afterwards.
func TestVanished(t *testing.T) {
	t.Parallel()
	l := newLog(ID{})
	known := redisstream.Known{Counts: true, Added: 3, Removed: 1, First: at(10), HeadExists: true}
	l.Append(l.View(), entries(10, 20, 21), known)
	here, behind, asleep, start := l.Now(), l.At(at(20)), l.Now(), l.From(ID{})
	if !l.Vanish(l.View()) || l.View().Len() != 0 {
		t.Fatalf("after Vanish there is %+v", l.View())
	}
	if want := (redisstream.Known{Head: at(21), Gone: true, Counts: true}); l.View().Known() != want || !l.View().Gone() {
		t.Errorf("known is %+v, want %+v", l.View().Known(), want)
	}
	v := l.View()
	if !l.Vanish(v) || l.View().Known() != v.Known() || l.View().Epoch() != v.Epoch() {
		t.Error("Vanish of what is gone changes it")
	}
	check := func(when, who string, c Cursor, want string) {
		t.Helper()
		if got := read(l, &c); got != want {
			t.Errorf("%s: %s gets %q, want %q", when, who, got, want)
		}
		if c != l.Now() && !strings.HasSuffix(want, "behind") {
			t.Errorf("%s: %s is at %+v in the end, the log at %+v", when, who, c, l.Now())
		}
	}
	check("gone", "who has everything", here, "")
	check("gone", "who was behind", behind, "gap(20,21)")
	check("gone", "who was at the start", start, "gap(0,21)")
	check("gone", "a new client", l.Now(), "")
	check("gone", "who comes back with everything", l.At(at(21)), "")
	check("gone", "who comes back with less", l.At(at(20)), "gap(20,21)")
	check("gone", "who comes back from the future", l.At(at(25)), "behind")
	check("gone", "who came to the empty stream", l.At(ID{}), "")
	check("gone", "who names a time", l.At(at(20).Prev()), "")
	check("gone", "since a time", l.From(at(15).Prev()), "")
	for _, c := range []Cursor{l.From(at(15).Prev()), l.From(at(99)), l.From(ID{}), l.Now()} {
		if c.Pos() != at(21) || !l.Idle(&c) {
			t.Errorf("gone: a cursor begins at %s", c.Pos())
		}
	}
	add(l, 9, entries(30, 31)...)
	if l.View().Gone() {
		t.Error("a stream with entries is gone")
	}
	check("back", "who slept", asleep, "30 31")
	check("back", "who was behind", behind, "gap(20,21) 30 31")
	check("back", "who comes back with everything", l.At(at(21)), "30 31")
	check("back", "who comes back with less", l.At(at(20)), "gap(20,21) 30 31")
	check("back", "who is not of either stream", l.At(at(25)), "gap(25,21) 30 31")
	check("back", "who has the first", l.At(at(30)), "31")
	check("back", "who names a time", l.At(at(20).Prev()), "30 31")
	check("back", "who came to the empty stream", l.At(ID{}), "30 31")
	add(l, 1, entries(32)...) // the log lets go of 30 and 31
	check("evicted", "who slept", asleep, "behind")
	check("evicted", "who comes back with everything", l.At(at(21)), "behind")
	check("evicted", "who comes back with less", l.At(at(20)), "gap(20,21) behind")
	l.Reset(l.View(), ID{}, redisstream.Known{})
	check("other ids", "who slept through both", asleep, "gap(21,0)")
	check("other ids", "who was there", l.At(ID{}), "")
}

// TestReset follows a stream with 10, 20 and 21 that gives way to another: what
// clients get that come back to a log that has seen it.
func TestReset(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		to   ID
		then []uint64
		at   ID
		want string
	}{
		"an old position":               {ID{}, []uint64{30}, at(10), "gap(10,0) 30"},
		"the last of the old positions": {ID{}, []uint64{30}, at(21), "gap(21,0) 30"},
		"the first entry":               {ID{}, []uint64{30, 31}, at(30), "31"},
		"between two entries":           {ID{}, []uint64{30, 32}, at(31), "32"},
		"right before the first":        {ID{}, []uint64{30}, at(30).Prev(), "30"},
		"the empty stream":              {ID{}, []uint64{30}, ID{}, "30"},
		"a time":                        {ID{}, []uint64{30}, at(20).Prev(), "30"},
		"beyond the end":                {ID{}, []uint64{30}, at(40), "behind"},
		"an older copy":                 {at(10), []uint64{30}, at(20), "gap(20,10) 30"},
		"an older copy, what it has":    {at(10), []uint64{30}, at(10), "30"},
		"an older copy, not gone on":    {at(10), nil, at(20), "behind"},
	} {
		l := newLog(ID{})
		add(l, 9, entries(10, 20, 21)...)
		l.Reset(l.View(), c.to, redisstream.Known{})
		add(l, 9, entries(c.then...)...)
		cur := l.At(c.at)
		if got := read(l, &cur); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestCursorRewind(t *testing.T) {
	t.Parallel()
	l := newLog(at(1))
	c := l.Now()
	add(l, 10, entries(2, 3)...)
	if b, _ := l.Next(&c, 100); len(b.Entries) != 2 || c.Pos() != at(3) {
		t.Fatalf("%+v", b)
	}
	c.Rewind(at(9)) // not passed yet
	if c.Pos() != at(3) {
		t.Errorf("rewound forward to %s", c.Pos())
	}
	c.Rewind(at(2))
	if b, state := l.Next(&c, 100); len(b.Entries) != 1 || b.Entries[0].ID != at(3) || state != Ready {
		t.Errorf("%+v, %v", b, state)
	}
	if !l.Idle(&c) {
		t.Error("not idle at the end")
	}
}

// TestCursorsAtOnePositionAreEqual, whatever way they came: batches are shared by
// that.
func TestCursorsAtOnePositionAreEqual(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(Cursor{}); size > 32 {
		t.Errorf("a cursor takes %d bytes", size)
	}
	l := newLog(ID{})
	add(l, 2, entries(1, 2, 3, 4)...)
	c := l.At(ID{})
	p := &Page{Entries: entries(1, 2), UpTo: at(2), Last: at(4), Next: 70}
	if !l.View().Accept(p) {
		t.Fatal("the page is not accepted")
	}
	if b, stale := l.Place(&c, p); stale || len(b.Entries) != 2 || c.Hint != 70 {
		t.Fatalf("%+v, %v, hint %d", b, stale, c.Hint)
	}
	ahead := l.At(at(5)) // before the tail has read that entry
	if got := read(l, &ahead); got != "behind" {
		t.Fatalf("ahead of the log: %q", got)
	}
	add(l, 9, entries(5, 6)...)
	if o := l.From(at(99)); o != l.Now() {
		t.Errorf("from the future: %+v, and the log is at %+v", o, l.Now())
	}
	add(l, 9, entries(7)...)
	for _, o := range []*Cursor{&c, &ahead, new(l.From(at(5)))} {
		read(l, o)
		if *o != l.Now() {
			t.Errorf("%+v and %+v differ", *o, l.Now())
		}
	}
}

// TestNextAllocatesNothing: it is what every cursor does for every event.
func TestNextAllocatesNothing(t *testing.T) {
	l := newLog(at(1))
	cs := make([]Cursor, 1000)
	for i := range cs {
		cs[i] = l.Now()
	}
	add(l, 256, testEntry(at(2), 100))
	if n := testing.AllocsPerRun(10, func() {
		for i := range cs {
			cs[i].pos = at(1)
			if l.Idle(&cs[i]) {
				t.Fatal("idle")
			}
			if b, state := l.Next(&cs[i], 1<<16); state != Ready || len(b.Entries) != 1 {
				t.Fatal(b, state)
			}
			if _, state := l.Next(&cs[i], 1<<16); state != UpToDate {
				t.Fatal(state)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d cursors", n, len(cs))
	}
}
