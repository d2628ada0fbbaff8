package eventlog

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"
	"weak"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// TestLogModel does random things to a log and to a naive one, and keeps old
// views to see that they stay as they were.
func TestLogModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		l := newLog(at(100))
		m := &naiveLog{known: redisstream.Known{Head: at(100)}, floor: at(100), size: map[ID]int{}}
		var views []*View
		var ids [][]ID
		for step := range 150 {
			randomChange(rng, l, m)
			v := l.View()
			if v.Floor() != m.floor || v.Head() != m.head() || v.Epoch() != m.epoch || v.Gone() != m.known.Gone ||
				v.Len() != len(m.ids) || !slices.Equal(idsOf(v.entries), m.ids) || l.View().bytes != m.bytes() {
				t.Fatalf("seed %d step %d: (%s,%s] epoch %d %v, %d bytes; want (%s,%s] epoch %d %v, %d bytes", seed, step,
					v.Floor(), v.Head(), v.Epoch(), idsOf(v.entries), l.View().bytes, m.floor, m.head(), m.epoch, m.ids, m.bytes())
			}
			if v.Known() != m.known {
				t.Fatalf("seed %d step %d: known is %+v, want %+v", seed, step, v.Known(), m.known)
			}
			if b := l.budget; b.events != len(m.ids) || b.bytes != v.Bytes() || (b.logs.Len() > 0) != (len(m.ids) > 0) {
				t.Fatalf("seed %d step %d: %d events of %d bytes in %d logs are booked, of %d and %d", seed, step,
					b.events, b.bytes, b.logs.Len(), len(m.ids), v.Bytes())
			}
			pos := at(rng.Uint64N(m.head().Ms + 3))
			if !pos.Less(v.Floor()) && !slices.Equal(idsOf(v.after(pos)), m.after(pos)) {
				t.Fatalf("seed %d step %d: after(%s) = %v of %v", seed, step, pos, idsOf(v.after(pos)), m.ids)
			}
			if got, want := v.Has(pos), pos == m.floor || slices.Contains(m.ids, pos); got != want {
				t.Fatalf("seed %d step %d: Has(%s) = %v of %s, %v", seed, step, pos, got, m.floor, m.ids)
			}
			checkBeforeLast(t, v, m, rng.IntN(25))
			if l.View().garbage > max(maxGarbage, l.View().bytes/2) {
				t.Fatalf("seed %d step %d: %d bytes of evicted entries are kept, of %d", seed, step, l.View().garbage, l.View().bytes)
			}
			checkResumed(t, v, m, pos, rng.Uint32N(m.epoch+1))
			views, ids = append(views, v), append(ids, slices.Clone(m.ids))
		}
		for i, v := range views {
			if !slices.Equal(idsOf(v.entries), ids[i]) {
				t.Fatalf("seed %d: the view of step %d has become %v, was %v", seed, i, idsOf(v.entries), ids[i])
			}
		}
	}
}

func checkBeforeLast(t *testing.T, v *View, m *naiveLog, n int) {
	t.Helper()
	pos, ok := v.BeforeLast(n)
	switch {
	case n == 0 && (!ok || pos != m.head()), n > 0 && ok != (n < len(m.ids)), n > 0 && ok && len(m.after(pos)) != n:
		t.Fatalf("BeforeLast(%d) = %s, %v of %v", n, pos, ok, m.ids)
	}
}

// checkResumed checks the rule for a cursor of an earlier epoch, and that what
// it is told is never less than what happened.
func checkResumed(t *testing.T, v *View, m *naiveLog, pos ID, epoch uint32) {
	t.Helper()
	to, missed := v.resumed(pos, epoch)
	if wantTo, want := m.resumed(pos, epoch); to != wantTo || missed != want {
		t.Fatalf("resumed(%s, %d) = %s, %v, want %s, %v of %v", pos, epoch, to, missed, wantTo, want, m.resets)
	}
	// The stream has nothing up to ended.
	if exactTo, exact := m.exact(pos, epoch); exactTo.Less(to) && m.ended().Less(to) || exact && !missed {
		t.Fatalf("resumed(%s, %d) = %s, %v, but what happened is %s, %v by %v", pos, epoch, to, missed, exactTo, exact, m.resets)
	}
}

// TestLogHolds compares the accounted memory with the entries that the garbage
// collector cannot free.
func TestLogHolds(t *testing.T) {
	l := newLog(ID{})
	b := l.budget
	var frames []weak.Pointer[byte]
	for n := range 3000 {
		e := testEntry(l.View().Head().Next(), 150)
		frames = append(frames, weak.Make(unsafe.SliceData(e.Frame)))
		add(l, 256, e)
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
	if l.View().garbage == 0 {
		t.Error("nothing was evicted that is not free yet: not the case that was meant")
	}
	if l.Close(); b.bytes != 0 || b.events != 0 {
		t.Errorf("%d bytes and %d events are left of it", b.bytes, b.events)
	}
}

// TestStaleReadChangesNothing makes each change after another one that its read
// did not know of, and after Close.
func TestStaleReadChangesNothing(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*Log){
		"an append":   func(l *Log) { add(l, 9, testEntry(at(12), 1)) },
		"a reset":     func(l *Log) { l.Reset(l.View(), at(11), redisstream.Known{}) }, // the head stays
		"a vanishing": func(l *Log) { l.Vanish(l.View()) },
		"Close":       func(l *Log) { l.Close() },
	} {
		for what, change := range map[string]func(l *Log, seen *View) bool{
			"Append": func(l *Log, seen *View) bool { return l.Append(seen, entries(20), seen.Known()) },
			"known":  func(l *Log, seen *View) bool { return l.Append(seen, nil, redisstream.Known{Added: 99}) },
			"Reset":  func(l *Log, seen *View) bool { return l.Reset(seen, at(11), seen.Known()) },
			"Vanish": (*Log).Vanish,
		} {
			l := newLog(at(10))
			add(l, 9, testEntry(at(11), 1))
			seen := l.View()
			before(l)
			v := l.View()
			if change(l, seen) || l.View() != v {
				t.Errorf("%s after %s changes the log", what, name)
			}
		}
	}
}

// TestKnownIsReplacedWithoutEntries: a read that is under way is still good.
func TestKnownIsReplacedWithoutEntries(t *testing.T) {
	t.Parallel()
	l := newLog(at(10))
	seen := l.View()
	if !l.Append(seen, nil, redisstream.Known{Head: at(99), Added: 7, HeadExists: true}) {
		t.Fatal("refused")
	}
	if want := (redisstream.Known{Head: at(10), Added: 7, HeadExists: true}); l.View().Known() != want {
		t.Errorf("known is %+v, want %+v", l.View().Known(), want)
	}
	if !l.Append(seen, entries(11), seen.Known()) || l.View().Head() != at(11) {
		t.Error("a read with the same head and epoch is refused")
	}
}

func TestClosedLogTakesNothing(t *testing.T) {
	t.Parallel()
	l := newLog(at(10))
	add(l, 5, entries(11)...)
	c := l.Now()
	v := l.View()
	l.Close()
	l.Close()
	l.Touch()
	l.Shrink()
	l.Prepend(0, &Page{Resumed: at(8), UpTo: at(11), Entries: entries(9, 11)})
	if b := l.budget; b.events != 0 || b.bytes != 0 || b.logs.Len() != 0 || l.View() != v {
		t.Errorf("%d events and %d bytes of %d logs are left, or the log has changed", b.events, b.bytes, b.logs.Len())
	}
	c.Rewind(at(10))
	if b, _ := l.Next(&c, 100); len(b.Entries) != 1 {
		t.Errorf("a cursor finds %+v", b)
	}
}
