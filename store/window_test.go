package store

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"weak"
)

// naiveWindow is what a window is supposed to be, without sharing, slicing or
// running sums.
type naiveWindow struct {
	floor, head ID
	epoch       uint32
	ids         []ID
	size        map[ID]int
	resets      []naiveReset
}

func (n *naiveWindow) after(pos ID) (ids []ID) {
	for _, id := range n.ids {
		if pos.Less(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (n *naiveWindow) evict(count int) {
	if count > 0 {
		n.floor, n.ids = n.ids[count-1], slices.Clone(n.ids[count:])
	}
}

func (n *naiveWindow) bytes() (sum int) {
	for _, id := range n.ids {
		sum += n.size[id]
	}
	return sum
}

// resumed takes a cursor through the resets after epoch, one after the other:
// where it is in the end, and whether it lost something on the way.
func (n *naiveWindow) resumed(pos ID, epoch uint32) (to ID, missed bool) {
	for _, r := range n.resets {
		if r.epoch <= epoch {
			continue
		}
		if r.to.Less(pos) {
			pos, missed = r.to, true
		}
		for _, id := range r.had {
			missed = missed || r.to.Less(id) && pos.Less(id)
		}
	}
	return pos, missed
}

// naiveReset is a reset with all that the window had then: the floor, which
// stands for what was before it, and the entries.
type naiveReset struct {
	epoch uint32
	to    ID
	had   []ID
}

func newWindow(head ID) *window {
	w := &window{channel: "c", key: "sse:c"}
	w.view.Store(&view{floor: head, head: head})
	w.avgSize.Store(64)
	return w
}

func testEntry(id ID, n int) Entry {
	return Entry{ID: id, Frame: fmt.Appendf(make([]byte, 0, n), "%-*s", n, id)}
}

func idsOf(es []Entry) (ids []ID) {
	for _, e := range es {
		ids = append(ids, e.ID)
	}
	return ids
}

// TestWindowModel does random things to a window and to a naive one, and keeps
// old views to see that they stay as they were.
func TestWindowModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 1))
		w := newWindow(ID{100, 0})
		m := &naiveWindow{floor: ID{100, 0}, head: ID{100, 0}, size: map[ID]int{}}
		oldViews, oldIDs := []*view{}, [][]ID{}
		for step := range 150 {
			before, held := len(m.ids), w.held()
			c := randomChange(rng, w, m)
			v := w.view.Load()
			if v.floor != m.floor || v.head != m.head || v.epoch != m.epoch || !slices.Equal(idsOf(v.entries), m.ids) || w.bytes != m.bytes() {
				t.Fatalf("seed %d step %d: (%s,%s] epoch %d %v, %d bytes; want (%s,%s] epoch %d %v, %d bytes", seed, step,
					v.floor, v.head, v.epoch, idsOf(v.entries), w.bytes, m.floor, m.head, m.epoch, m.ids, m.bytes())
			}
			if c.events != len(m.ids)-before || c.bytes != w.held()-held {
				t.Fatalf("seed %d step %d: change %+v, want %d events, %d bytes", seed, step, c, len(m.ids)-before, w.held()-held)
			}
			if pos := (ID{rng.Uint64N(m.head.Ms + 3), 0}); !pos.Less(v.floor) && !slices.Equal(idsOf(v.after(pos)), m.after(pos)) {
				t.Fatalf("seed %d step %d: after(%s) = %v of %v", seed, step, pos, idsOf(v.after(pos)), m.ids)
			}
			pos, epoch := ID{rng.Uint64N(m.head.Ms + 3), 0}, rng.Uint32N(m.epoch+1)
			to, missed := v.resumed(pos, epoch)
			if wantTo, want := m.resumed(pos, epoch); to != wantTo || missed != want {
				t.Fatalf("seed %d step %d: resumed(%s, %d) = %s, %v, want %s, %v of %v", seed, step, pos, epoch, to, missed, wantTo, want, m.resets)
			}
			if w.pinned > max(minPinned, w.bytes/2) {
				t.Fatalf("seed %d step %d: %d bytes of evicted entries are kept, of %d", seed, step, w.pinned, w.bytes)
			}
			oldViews, oldIDs = append(oldViews, v), append(oldIDs, slices.Clone(m.ids))
		}
		for i, v := range oldViews {
			if !slices.Equal(idsOf(v.entries), oldIDs[i]) {
				t.Fatalf("seed %d: the view of step %d has become %v, was %v", seed, i, idsOf(v.entries), oldIDs[i])
			}
		}
	}
}

// TestManyResets has a window reset again and again, each time less far back:
// it keeps a few apart, and a cursor that needs one of the others goes back
// further than it had to, but loses nothing unheard.
func TestManyResets(t *testing.T) {
	t.Parallel()
	for name, lossy := range map[string]uint64{"each loses something": 5 * maxResets, "only the first does": 1} {
		w := newWindow(ID{})
		m := &naiveWindow{size: map[ID]int{}, ids: []ID{{}}}
		for n := range uint64(5 * maxResets) {
			to, head := ID{10 * n, 0}, ID{10 * n, 0}
			if n < lossy {
				head.Ms += 15
			}
			w.mu.Lock()
			w.append([]Entry{testEntry(head, 10)}, 1000)
			w.reset(to)
			w.mu.Unlock()
			m.epoch++
			m.ids = append(slices.Clone(m.ids), head)
			m.resets = append(m.resets, naiveReset{m.epoch, to, m.ids})
			m.ids = slices.DeleteFunc(slices.Clone(m.ids), to.Less)
		}
		v := w.view.Load()
		if len(v.resets) != maxResets {
			t.Errorf("%s: %d resets are kept, want %d", name, len(v.resets), maxResets)
		}
		for epoch := range m.epoch + 1 {
			for n := range uint64(10*maxResets + 4) {
				pos := ID{5 * n, 0}
				to, missed := v.resumed(pos, epoch)
				wantTo, want := m.resumed(pos, epoch)
				apart := epoch >= v.resets[0].epoch
				if wantTo.Less(to) || want && !missed || apart && (to != wantTo || missed != want) {
					t.Fatalf("%s: resumed(%s, %d) = %s, %v, want %s, %v", name, pos, epoch, to, missed, wantTo, want)
				}
			}
		}
	}
}

// randomChange does the same thing to both.
func randomChange(rng *rand.Rand, w *window, m *naiveWindow) change {
	const maxEvents = 20
	switch rng.IntN(8) {
	case 0:
		m.evict((len(m.ids) + 1) / 2)
		return w.shrink()
	case 1:
		return randomPrepend(rng, w, m, maxEvents)
	case 2:
		if rng.IntN(3) > 0 {
			return change{}
		}
		to := ID{rng.Uint64N(m.head.Ms + 1), 0}
		switch rng.IntN(4) {
		case 0:
			to = ID{}
		case 1:
			to = m.head // nothing is lost
		}
		m.epoch++
		m.resets = append(m.resets, naiveReset{m.epoch, to, append([]ID{m.floor}, m.ids...)})
		m.ids = slices.DeleteFunc(slices.Clone(m.ids), func(id ID) bool { return to.Less(id) })
		m.floor, m.head = minID(m.floor, to), to
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.reset(to)
	}
	var es []Entry
	for range 1 + rng.IntN(6) {
		m.head.Ms += 1 + rng.Uint64N(3)
		e := testEntry(m.head, rng.IntN(8000))
		es, m.ids = append(es, e), append(slices.Clone(m.ids), e.ID)
		m.size[e.ID] = e.size()
	}
	m.evict(len(m.ids) - maxEvents)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.append(es, maxEvents)
}

// randomPrepend offers a page that reaches the floor, or not, or is of another
// stream.
func randomPrepend(rng *rand.Rand, w *window, m *naiveWindow, maxEvents int) change {
	pos := ID{m.floor.Ms - rng.Uint64N(m.floor.Ms+1), 0}
	upTo := ID{pos.Ms + rng.Uint64N(30), 0}
	var page []Entry
	for ms := pos.Ms + 1; ms <= upTo.Ms && ms <= m.floor.Ms; ms++ {
		if id := (ID{ms, 0}); rng.IntN(2) == 0 {
			page = append(page, testEntry(id, rng.IntN(2000)))
		}
	}
	older := len(page)
	for _, id := range m.ids {
		if !upTo.Less(id) {
			page = append(page, Entry{ID: id, Frame: make([]byte, m.size[id]-entryOverhead)})
		}
	}
	foreign := rng.IntN(5) == 0 && len(page) > older
	if foreign {
		page = slices.Delete(page, older, older+1)
		foreign = len(page) > older // or the page ends before it, which proves nothing
	}
	epoch, maxBytes := m.epoch, w.bytes+rng.IntN(30_000)
	stale := rng.IntN(10) == 0 && epoch > 0
	if stale {
		epoch--
	}
	if !foreign && !stale && !upTo.Less(m.floor) && pos.Less(m.floor) {
		start, size := older, 0
		for start > 0 && older-start < maxEvents-len(m.ids) && size+page[start-1].size() <= maxBytes-m.bytes() {
			start--
			size += page[start].size()
			m.size[page[start].ID] = page[start].size()
		}
		if m.floor = pos; start > 0 {
			m.floor = page[start-1].ID
		}
		m.ids = append(idsOf(page[start:older]), m.ids...)
	}
	return w.prepend(epoch, pos, upTo, page, maxEvents, maxBytes)
}

// TestWindowHolds what it says, in entries that the collector cannot free.
func TestWindowHolds(t *testing.T) {
	b := budget{max: 1 << 30, metrics: testMetrics()}
	w := newWindow(ID{})
	var frames []weak.Pointer[byte]
	for n := range 3000 {
		e := testEntry(w.view.Load().head.Next(), 150)
		frames = append(frames, weak.Make(&e.Frame[0]))
		c := w.append([]Entry{e}, 256)
		b.account(w, c)
		if n%100 != 0 {
			continue
		}
		runtime.GC()
		alive := 0
		for _, f := range frames {
			if f.Value() != nil {
				alive += e.size()
			}
		}
		if alive != b.bytes {
			t.Fatalf("after %d entries %d bytes are held, and %d accounted", n+1, alive, b.bytes)
		}
	}
	if w.pinned == 0 {
		t.Error("nothing was evicted that is not free yet: not the case that was meant")
	}
	if b.forget(w, w.close()); b.bytes != 0 || b.events != 0 {
		t.Errorf("%d bytes and %d events are left of it", b.bytes, b.events)
	}
}

func TestWindowClosed(t *testing.T) {
	t.Parallel()
	w := newWindow(ID{10, 0})
	w.append([]Entry{testEntry(ID{11, 0}, 1)}, 5)
	w.closed = true
	if c := w.shrink(); c != (change{}) {
		t.Errorf("shrink of a closed window: %+v", c)
	}
	if c := w.prepend(0, ID{8, 0}, ID{11, 0}, []Entry{testEntry(ID{9, 0}, 1), testEntry(ID{11, 0}, 1)}, 5, 1<<20); c != (change{}) {
		t.Errorf("prepend to a closed window: %+v", c)
	}
}
