package store

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// TestCursorModel moves cursors over a window that grows, is evicted from and
// reset, and checks each step against the window's content.
func TestCursorModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		w := newWindow(ID{100, 0})
		m := &naiveWindow{floor: ID{100, 0}, head: ID{100, 0}, size: map[ID]int{}}
		sub := &Subscription{w: w}
		cs := []Cursor{sub.Now(), sub.Now(), sub.After(ID{90, 0}), sub.After(ID{100, 0}), sub.After(ID{110, 0})}
		for step := range 200 {
			randomChange(rng, w, m)
			i := rng.IntN(len(cs))
			if fault := nextOnce(&cs[i], m, rng.IntN(10_000)); fault != "" {
				t.Fatalf("seed %d step %d cursor %d: %s", seed, step, i, fault)
			}
			if rng.IntN(40) == 0 {
				cs[i] = sub.After(ID{m.head.Ms + 3 - rng.Uint64N(min(m.head.Ms, 30)+1), 0})
			}
		}
	}
}

// nextOnce calls Next and compares what comes with the model.
func nextOnce(c *Cursor, m *naiveWindow, maxBytes int) (fault string) {
	pos, epoch, check, idle := c.pos, c.epoch, c.check, c.Idle()
	b, state := c.Next(maxBytes)
	resumed, missed := m.resumed(pos, epoch)
	switch {
	case c.epoch != m.epoch:
		return "it is not in the window's epoch"
	case missed:
		if state != Ready || b.Gap == nil || *b.Gap != (Gap{"c", pos, resumed, metrics.GapReset}) || len(b.Entries) > 0 || c.pos != resumed {
			return fmt.Sprintf("after a reset to %s: %+v, %v", resumed, b, state)
		}
		return ""
	case b.Gap != nil:
		return fmt.Sprintf("a gap %+v for no reason", *b.Gap)
	case pos.Less(m.floor) || check && m.isStrange(pos):
		if state != Behind || c.pos != pos || len(b.Entries) > 0 || idle {
			return fmt.Sprintf("at %s of (%s,%s]: %+v, %v", pos, m.floor, m.head, b, state)
		}
		return ""
	}
	want := m.after(pos)
	if len(want) == 0 {
		// The position never goes back, and not past the head.
		if state != UpToDate || len(b.Entries) > 0 || c.pos != pos && c.pos != m.head || c.pos.Less(pos) || idle && c.pos != pos {
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
	case n > 1 && size > maxBytes:
		return fmt.Sprintf("%d bytes in %d entries, more than %d", size, n, maxBytes)
	case n < len(want) && size+m.size[want[n]]-entryOverhead <= maxBytes:
		return "there was room for one more"
	}
	return ""
}

// isStrange reports whether a position is one that the window cannot vouch for:
// beyond it, or between its floor and its first entry.
func (m *naiveWindow) isStrange(pos ID) bool {
	if m.head.Less(pos) {
		return true
	}
	es := m.after(m.floor)
	return pos != m.floor && pos != m.head && pos.isEntry() && (len(es) == 0 || pos.Next().Less(es[0]))
}

func TestCursorRewind(t *testing.T) {
	t.Parallel()
	w := newWindow(ID{1, 0})
	sub := &Subscription{w: w}
	c := sub.Now()
	w.append([]Entry{testEntry(ID{2, 0}, 1), testEntry(ID{3, 0}, 1)}, 10)
	if b, _ := c.Next(100); len(b.Entries) != 2 || c.Pos() != (ID{3, 0}) || c.Sub() != sub {
		t.Fatalf("%+v", b)
	}
	c.Rewind(ID{9, 0}) // not passed yet
	if c.Pos() != (ID{3, 0}) {
		t.Errorf("rewound forward to %s", c.Pos())
	}
	c.Rewind(ID{2, 0})
	if b, state := c.Next(100); len(b.Entries) != 1 || b.Entries[0].ID != (ID{3, 0}) || state != Ready {
		t.Errorf("%+v, %v", b, state)
	}
	if !c.Idle() {
		t.Error("not idle at the end")
	}
}

// TestNextAllocates nothing: it is what every cursor does for every event.
func TestNextAllocates(t *testing.T) {
	w := newWindow(ID{1, 0})
	sub := &Subscription{w: w}
	cs := make([]Cursor, 1000)
	for i := range cs {
		cs[i] = sub.Now()
	}
	next := ID{2, 0}
	w.append([]Entry{testEntry(next, 100)}, 256)
	if n := testing.AllocsPerRun(10, func() {
		for i := range cs {
			cs[i].pos = ID{1, 0}
			if cs[i].Idle() {
				t.Fatal("idle")
			}
			if b, state := cs[i].Next(1 << 16); state != Ready || len(b.Entries) != 1 {
				t.Fatal(b, state)
			}
			if _, state := cs[i].Next(1 << 16); state != UpToDate {
				t.Fatal(state)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d cursors", n, len(cs))
	}
}

// TestFetchStaysBehindTheTail has a page of history with entries that the tail
// has not read: they come when it has.
func TestFetchStaysBehindTheTail(t *testing.T) {
	t.Parallel()
	at := func(ms uint64) ID { return ID{ms, 0} }
	for name, c := range map[string]struct {
		resumed, upTo uint64
		entries       []uint64
		head          uint64
		want          int
		pos           uint64
	}{
		"behind it":          {10, 30, []uint64{20, 30}, 40, 2, 30},
		"up to it":           {10, 30, []uint64{20, 30}, 30, 2, 30},
		"past it":            {10, 30, []uint64{20, 30}, 25, 1, 25},
		"all of it is past":  {10, 30, []uint64{20, 30}, 15, 0, 15},
		"from a later one":   {20, 30, []uint64{30}, 15, 0, 20},
		"nothing, past it":   {10, 30, nil, 15, 0, 15},
		"nothing, up to it":  {10, 30, nil, 30, 0, 30},
		"at the client's id": {30, 30, nil, 15, 0, 30},
	} {
		p := page{resumed: at(c.resumed), upTo: at(c.upTo)}
		for _, ms := range c.entries {
			p.entries = append(p.entries, Entry{ID: at(ms)})
		}
		if es, pos := p.until(at(c.head)); len(es) != c.want || pos != at(c.pos) {
			t.Errorf("%s: %d entries up to %s, want %d up to %d", name, len(es), pos, c.want, c.pos)
		}
	}
}
