package eventlog

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// TestPageCacheModel adds pages of several streams and asks for positions: what
// is found is what the stream has there, and what is held stays within bounds.
func TestPageCacheModel(t *testing.T) {
	t.Parallel()
	logs := []*Log{newLog(ID{}), newLog(ID{})}
	// Each log and epoch has a stream of its own, with ids of its own.
	idOf := func(stream, n int) ID { return at(uint64(1000*stream + n + 1)) }
	const length = 100
	found, now := 0, time.Now()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 4))
		r := NewPageCache(4000, time.Second)
		for step := range 100 {
			stream, from := rng.IntN(4), rng.IntN(length)
			l, epoch := logs[stream/2], uint32(stream%2)
			pos := idOf(stream, from-1)
			if rng.IntN(2) == 0 {
				p := &Page{Resumed: pos, Next: 7, accepted: true}
				if rng.IntN(4) == 0 { // trimmed up to there
					p.GapReason = metrics.GapTrimmed
					pos = at(uint64(1000 * stream))
				}
				to := min(from+rng.IntN(30), length)
				for n := from; n < to; n++ {
					p.Entries = append(p.Entries, Entry{ID: idOf(stream, n), Frame: make([]byte, rng.IntN(20))})
				}
				p.UpTo = idOf(stream, to-1)
				r.Add(l, epoch, pos, p, now)
			} else if p := r.Find(l, epoch, pos); p != nil {
				found++
				if p.Resumed != pos && p.GapReason == "" || len(p.Entries) == 0 || p.Next != 7 {
					t.Fatalf("seed %d step %d: %v gives %+v", seed, step, pos, p)
				}
				for i, e := range p.Entries {
					if want := at(p.Resumed.Ms + uint64(i) + 1); e.ID != want {
						t.Fatalf("seed %d step %d: entry %d after %v is %v, want %v", seed, step, i, p.Resumed, e.ID, want)
					}
				}
				if last := p.Entries[len(p.Entries)-1].ID; p.UpTo != last {
					t.Fatalf("seed %d step %d: the page ends at %v and its entries at %v", seed, step, p.UpTo, last)
				}
			}
			bytes := 0
			for _, p := range r.pages {
				bytes += sizeOf(p.Entries)
			}
			if bytes != r.bytes || bytes > r.maxBytes || len(r.pages) > maxPages {
				t.Fatalf("seed %d step %d: %d pages of %d bytes, counted %d", seed, step, len(r.pages), bytes, r.bytes)
			}
		}
		if r.Expire(now.Add(time.Second)); len(r.pages) != 0 || r.bytes != 0 {
			t.Fatalf("seed %d: %d pages of %d bytes are left", seed, len(r.pages), r.bytes)
		}
	}
	if found < 400 {
		t.Errorf("only %d pages were found: nothing was tested", found)
	}
}

// TestPageCacheAnswersOnlyWhatItKnows: what was read once for a position is no answer to those beyond it or after a
// reset, nor to those before it unless it begins where all that is left does; nor
// is it that a position lies in the future.
func TestPageCacheAnswersOnlyWhatItKnows(t *testing.T) {
	t.Parallel()
	l, r, now := newLog(ID{}), NewPageCache(1<<20, time.Second), time.Now()
	entries := []Entry{{ID: at(5)}, {ID: at(7)}}
	r.Add(l, 1, at(2), &Page{Resumed: at(4), GapReason: metrics.GapTrimmed, Entries: entries, UpTo: at(9), accepted: true}, now)
	r.Add(l, 1, at(20), &Page{Resumed: at(9), GapReason: metrics.GapReset, UpTo: at(9), accepted: true}, now)
	for pos, want := range map[uint64][]Entry{0: nil, 1: entries, 2: entries, 3: entries, 4: entries, 5: entries[1:], 6: entries[1:], 7: {}, 8: {}, 9: nil, 20: nil} {
		p := r.Find(l, 1, at(pos))
		if (p == nil) != (want == nil) || p != nil && (!slices.EqualFunc(p.Entries, want, func(a, b Entry) bool { return a.ID == b.ID }) ||
			(p.GapReason != "") != (pos < 4) || p.GapReason != "" && p.Resumed != at(4) || p.UpTo != (at(9))) {
			t.Errorf("after %d there is %+v, want %v", pos, p, want)
		}
	}
	// A page that begins with the stream is one for all who come from another.
	start := []Entry{{ID: at(30)}, {ID: at(31)}}
	r.Add(l, 3, at(20), &Page{Resumed: at(30).Prev(), GapReason: metrics.GapReset, Start: at(30), Entries: start, UpTo: at(31), accepted: true}, now)
	r.Add(l, 4, ID{}, &Page{Start: at(30), Entries: start, UpTo: at(31), accepted: true}, now)
	for _, epoch := range []uint32{3, 4} {
		for _, pos := range []uint64{10, 20, 29} {
			p := r.Find(l, epoch, at(pos))
			if p == nil || p.Resumed != at(30).Prev() || p.GapReason != metrics.GapReset || len(p.Entries) != 2 {
				t.Errorf("after %d of another stream there is %+v", pos, p)
			}
		}
		if p := r.Find(l, epoch, at(30)); p == nil || p.GapReason != "" || len(p.Entries) != 1 {
			t.Errorf("after its first entry there is %+v", p)
		}
	}
	if p := r.Find(l, 3, ID{}); p != nil {
		t.Errorf("from the beginning there is %+v", p)
	}
	// Whether what was before the first entry of a page is of this stream, and what
	// came after it is gone, the page does not tell.
	r.Add(l, 5, ID{}, &Page{Entries: start, UpTo: at(31), accepted: true}, now)
	if p := r.Find(l, 5, at(20)); p != nil {
		t.Errorf("before the first entry there is %+v", p)
	}
	if p := r.Find(l, 5, at(20).Prev()); p == nil || p.GapReason != "" || len(p.Entries) != 2 {
		t.Errorf("after a time before the first entry there is %+v", p)
	}
	if r.Find(l, 2, at(5)) != nil || r.Find(newLog(ID{}), 1, at(5)) != nil {
		t.Error("found in another epoch or log")
	}
}

// TestPageCacheKeeps what may be shared, for as long as it may be.
func TestPageCacheKeeps(t *testing.T) {
	t.Parallel()
	l, r, now := newLog(ID{}), NewPageCache(1000, time.Second), time.Now()
	r.Add(l, 0, at(1), &Page{Resumed: at(1), Entries: entries(2), UpTo: at(2)}, now)
	if r.Find(l, 0, at(1)) != nil {
		t.Error("a page is kept that no view has accepted")
	}
	for i := range uint64(3) {
		r.Add(l, 0, at(i), &Page{Resumed: at(i), Entries: entries(i + 1), UpTo: at(i + 1), accepted: true}, now.Add(time.Duration(i)*time.Second))
	}
	r.Expire(now.Add(time.Second))
	for i, want := range []bool{false, true, true} {
		if got := r.Find(l, 0, at(uint64(i))) != nil; got != want {
			t.Errorf("page %d after a second: %v, want %v", i, got, want)
		}
	}
	if n := r.bytes; n != 2*(10+entryOverhead) {
		t.Errorf("%d bytes are held", n)
	}
	r.Add(l, 0, at(9), &Page{Resumed: at(9), Entries: []Entry{testEntry(at(10), 900)}, UpTo: at(10), accepted: true}, now)
	if r.Find(l, 0, at(2)) != nil || r.Find(l, 0, at(9)) == nil || r.bytes != 900+entryOverhead {
		t.Errorf("a large page does not take the place of all others: %d bytes", r.bytes)
	}
	r = NewPageCache(1<<20, time.Second)
	for i := range uint64(3 * maxPages) {
		r.Add(l, 1, at(i), &Page{Resumed: at(i), Entries: []Entry{{ID: at(i + 1)}}, UpTo: at(i + 1), accepted: true}, now)
		if len(r.pages) > maxPages {
			t.Fatalf("%d pages are held", len(r.pages))
		}
	}
}
