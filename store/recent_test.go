package store

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// TestRecentModel adds pages of several streams and asks for positions: what
// is found is what the stream has there, and what is held stays within bounds.
func TestRecentModel(t *testing.T) {
	t.Parallel()
	windows := []*window{newWindow(ID{}), newWindow(ID{})}
	// Each window and epoch has a stream of its own, with ids of its own.
	idOf := func(stream, n int) ID { return ID{uint64(1000*stream + n + 1), 0} }
	const length = 100
	found := 0
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 4))
		r := &recentPages{maxBytes: 4000, keep: time.Second}
		for step := range 100 {
			stream, from := rng.IntN(4), rng.IntN(length)
			w, epoch := windows[stream/2], uint32(stream%2)
			pos := idOf(stream, from-1)
			if rng.IntN(2) == 0 {
				p := &page{resumed: pos, next: 7}
				if rng.IntN(4) == 0 { // trimmed up to there
					p.gapReason = metrics.GapTrimmed
					pos = ID{Ms: uint64(1000 * stream)}
				}
				to := min(from+rng.IntN(30), length)
				for n := from; n < to; n++ {
					p.entries = append(p.entries, Entry{ID: idOf(stream, n), Frame: make([]byte, rng.IntN(20))})
				}
				p.upTo = idOf(stream, to-1)
				r.add(w, epoch, pos, p)
			} else if p := r.find(w, epoch, pos); p != nil {
				found++
				if p.resumed != pos && p.gapReason == "" || len(p.entries) == 0 || p.next != 7 {
					t.Fatalf("seed %d step %d: %v gives %+v", seed, step, pos, p)
				}
				for i, e := range p.entries {
					if want := (ID{p.resumed.Ms + uint64(i) + 1, 0}); e.ID != want {
						t.Fatalf("seed %d step %d: entry %d after %v is %v, want %v", seed, step, i, p.resumed, e.ID, want)
					}
				}
				if last := p.entries[len(p.entries)-1].ID; p.upTo != last {
					t.Fatalf("seed %d step %d: the page ends at %v and its entries at %v", seed, step, p.upTo, last)
				}
			}
			bytes := 0
			for _, p := range r.pages {
				bytes += p.bytes
			}
			if bytes != r.bytes || bytes > r.maxBytes || len(r.pages) > recentMost {
				t.Fatalf("seed %d step %d: %d pages of %d bytes, counted %d", seed, step, len(r.pages), bytes, r.bytes)
			}
		}
		if r.expire(time.Now().Add(time.Second)); len(r.pages) != 0 || r.bytes != 0 {
			t.Fatalf("seed %d: %d pages of %d bytes are left", seed, len(r.pages), r.bytes)
		}
	}
	if found < 400 {
		t.Errorf("only %d pages were found: nothing was tested", found)
	}
}

// What was read once for a position is no answer to those beyond it or after a
// reset, nor to those before it unless it begins where all that is left does; nor
// is it that a position lies in the future.
func TestRecentOnly(t *testing.T) {
	t.Parallel()
	w, r := newWindow(ID{}), &recentPages{maxBytes: 1 << 20}
	entries := []Entry{{ID: ID{5, 0}}, {ID: ID{7, 0}}}
	r.add(w, 1, ID{2, 0}, &page{resumed: ID{4, 0}, gapReason: metrics.GapTrimmed, entries: entries, upTo: ID{9, 0}})
	r.add(w, 1, ID{20, 0}, &page{resumed: ID{9, 0}, gapReason: metrics.GapReset, upTo: ID{9, 0}})
	for pos, want := range map[uint64][]Entry{0: nil, 1: entries, 2: entries, 3: entries, 4: entries, 5: entries[1:], 6: entries[1:], 7: {}, 8: {}, 9: nil, 20: nil} {
		p := r.find(w, 1, ID{pos, 0})
		if (p == nil) != (want == nil) || p != nil && (!slices.EqualFunc(p.entries, want, func(a, b Entry) bool { return a.ID == b.ID }) ||
			(p.gapReason != "") != (pos < 4) || p.gapReason != "" && p.resumed != (ID{4, 0}) || p.upTo != (ID{9, 0})) {
			t.Errorf("after %d there is %+v, want %v", pos, p, want)
		}
	}
	// A page that begins with the stream is one for all who come from another.
	start := []Entry{{ID: ID{30, 0}}, {ID: ID{31, 0}}}
	r.add(w, 3, ID{20, 0}, &page{resumed: ID{30, 0}.Prev(), gapReason: metrics.GapReset, start: ID{30, 0}, entries: start, upTo: ID{31, 0}})
	r.add(w, 4, ID{}, &page{start: ID{30, 0}, entries: start, upTo: ID{31, 0}})
	for _, epoch := range []uint32{3, 4} {
		for _, pos := range []uint64{10, 20, 29} {
			p := r.find(w, epoch, ID{pos, 0})
			if p == nil || p.resumed != (ID{30, 0}.Prev()) || p.gapReason != metrics.GapReset || len(p.entries) != 2 {
				t.Errorf("after %d of another stream there is %+v", pos, p)
			}
		}
		if p := r.find(w, epoch, ID{30, 0}); p == nil || p.gapReason != "" || len(p.entries) != 1 {
			t.Errorf("after its first entry there is %+v", p)
		}
	}
	if p := r.find(w, 3, ID{}); p != nil {
		t.Errorf("from the beginning there is %+v", p)
	}
	// Whether what was before the first entry of a page is of this stream, and what
	// came after it is gone, the page does not tell.
	r.add(w, 5, ID{}, &page{entries: start, upTo: ID{31, 0}})
	if p := r.find(w, 5, ID{20, 0}); p != nil {
		t.Errorf("before the first entry there is %+v", p)
	}
	if r.find(w, 2, ID{5, 0}) != nil || r.find(newWindow(ID{}), 1, ID{5, 0}) != nil {
		t.Error("found in another epoch or window")
	}
}
