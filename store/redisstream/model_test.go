package redisstream

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// model is a stream as Redis has it.
type model struct {
	exists bool
	ids    []uint64
	last   uint64
	added  int64
	counts bool // entries-added
}

func (m *model) add(id uint64) {
	m.ids, m.last, m.exists = append(m.ids, id), id, true
	m.added++
}

func (m *model) trim(n int) { m.ids = m.ids[min(n, len(m.ids)):] }

func (m *model) clone() model { c := *m; c.ids = slices.Clone(m.ids); return c }

// look is a snapshot after a head, of which so many entries are read.
func (m *model) look(head uint64, limit int, inside bool) (s Snapshot, read []uint64) {
	s.TrimsInside = inside
	if !m.exists {
		return s, nil
	}
	s.Info = Info{Exists: true, Length: int64(len(m.ids)), Last: at(m.last), Added: m.added}
	if !m.counts {
		s.Info.Added = -1
	}
	if len(m.ids) > 0 {
		s.Info.First, s.Info.Newest = at(m.ids[0]), at(m.ids[len(m.ids)-1])
	}
	for _, id := range m.ids {
		s.HeadFound = s.HeadFound || id == head
		if id > head {
			read = append(read, id)
		}
	}
	if s.More = len(read) > limit; s.More {
		read = read[:limit]
	}
	if s.Entries = len(read); s.Entries > 0 {
		s.Next = at(read[0])
	}
	return s, read
}

// A stream that is only added to and trimmed is never taken for another one. It
// is said to be trimmed if entries were removed before they were read, and, unless
// entries are taken from the middle, only then.
func TestClassifyOfOneStream(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		inside, counts := seed%3 == 0, seed%2 == 0
		m := model{counts: counts}
		for range rng.IntN(5) {
			m.add(m.last + 1 + rng.Uint64N(3))
		}
		m.trim(rng.IntN(3))
		s, _ := m.look(m.last, 0, inside)
		k := Start(s.Info)
		for step := range 40 {
			for range rng.IntN(4) {
				m.add(m.last + 1 + rng.Uint64N(3))
			}
			lost := 0 // from the old end, of what was not read
			if rng.IntN(2) == 0 {
				before := len(m.ids)
				unread := 0
				for _, id := range m.ids {
					if at(id).Compare(k.Head) > 0 {
						unread++
					}
				}
				m.trim(rng.IntN(1 + before))
				lost = max(0, unread-len(m.ids))
			}
			if inside && len(m.ids) > 2 && rng.IntN(2) == 0 {
				i := 1 + rng.IntN(len(m.ids)-1)
				m.ids = slices.Delete(m.ids, i, min(len(m.ids), i+1+rng.IntN(2)))
			}
			limit := 100
			if !inside {
				limit = 1 + rng.IntN(4)
			}
			s, read := m.look(k.Head.Ms, limit, inside)
			got, resumed := k.Classify(s)
			switch {
			case got != Continues && got != Trimmed,
				lost > 0 && got != Trimmed && (counts || !k.Head.IsZero()), // who knows of an empty stream gets the benefit of the doubt
				counts && !inside && lost == 0 && got != Continues:
				t.Fatalf("seed %d, step %d: %d of %+v and %+v; %d lost", seed, step, got, k, s, lost)
			}
			head := k.Head
			if got == Trimmed {
				head = resumed
			}
			if len(read) > 0 {
				head = at(read[len(read)-1])
			}
			if k = k.After(head, len(read), &s); counts && !inside && !s.More && k.Added != m.added {
				t.Fatalf("seed %d, step %d: %+v of %+v", seed, step, k, m)
			}
		}
	}
}

// A copy from before the head was written is told from the stream, however it
// has gone on, as long as the server counts and trims the copy from its old end.
func TestClassifyOfAnOlderCopy(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 2))
		inside := seed%2 == 0
		m := model{counts: true}
		for range 3 + rng.IntN(5) {
			m.add(m.last + 1 + rng.Uint64N(3))
		}
		if m.trim(rng.IntN(2)); inside && len(m.ids) > 3 {
			m.ids = slices.Delete(m.ids, 1, 2)
		}
		copied := m.clone()
		for range 1 + rng.IntN(5) {
			m.add(m.last + 1 + rng.Uint64N(3))
		}
		s, _ := m.look(0, 0, inside)
		k := Start(s.Info)
		for range rng.IntN(8) {
			copied.add(max(copied.last, m.last) + 1 + rng.Uint64N(3))
		}
		s, _ = copied.look(k.Head.Ms, 1+rng.IntN(10), inside)
		if got, _ := k.Classify(s); got != Replaced {
			t.Fatalf("seed %d: %d of %+v and %+v", seed, got, k, s)
		}
	}
}

// A stream that disappears and comes back goes on if all of its entries are
// after the head, and none is missing; on Redis 6, if none is known to be.
func TestClassifyOfAStreamThatComesBack(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 3))
		counts := seed%2 == 0
		const head = 10
		k := Start(Info{Exists: true, Length: 1, Last: at(head), Added: 1, First: at(head), Newest: at(head)})
		m := model{counts: counts}
		for looks := range 3 {
			s, _ := m.look(head, 100, false)
			if got, _ := k.Classify(s); got != Continues && (looks > 0 || got != Vanished) {
				t.Fatalf("seed %d: %d of a stream that is gone", seed, got)
			}
			if k = k.After(at(head), 0, &s); !k.Gone {
				t.Fatalf("seed %d: %+v", seed, k)
			}
			m.exists = rng.IntN(2) == 0 // XGROUP CREATE with MKSTREAM
		}
		for range 1 + rng.IntN(4) {
			m.add(m.last + 1 + rng.Uint64N(head))
		}
		first := m.ids[0]
		m.trim(rng.IntN(len(m.ids) + 1))
		removed := m.added > int64(len(m.ids))
		s, _ := m.look(head, 100, false)
		got, _ := k.Classify(s)
		passed := m.last > head && (len(m.ids) == 0 || m.ids[0] > head)
		switch {
		case !passed && got != Replaced, // ids that are there go back
			passed && counts && removed != (got == Trimmed),
			passed && !removed && got != Continues,
			passed && first <= head && counts && got == Continues:
			t.Fatalf("seed %d: %d of %+v", seed, got, m)
		}
	}
}
