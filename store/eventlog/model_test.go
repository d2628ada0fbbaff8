package eventlog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// stream is a Redis stream with all that was ever in it, and a log that follows
// it. The log reads it after each change.
type stream struct {
	rng     *rand.Rand
	log     *Log
	cache   *PageCache
	n       int  // entries that were ever made
	all     []ID // every entry of today's stream, the trimmed ones included
	frame   map[ID]string
	trimmed int // how many of all were trimmed
	last    ID
	readers []*modelReader
}

// modelReader is a client with the position that it has got to.
type modelReader struct {
	cur    Cursor
	pos    ID
	asleep int   // resets since it last looked
	owed   bool  // it has missed something, and has not been told
	page   *Page // that was read for it, and has yet to arrive
}

func (s *stream) exists() bool { return s.last != ID{} }

func (s *stream) left() []ID { return s.all[s.trimmed:] }

func (s *stream) after(pos ID) []ID {
	i, _ := slices.BinarySearchFunc(s.all, pos.Next(), ID.Compare)
	return s.all[i:]
}

func (s *stream) info() redisstream.Info {
	info := redisstream.Info{Exists: s.exists(), Last: s.last, Length: int64(len(s.left())), Added: int64(len(s.all))}
	if left := s.left(); len(left) > 0 {
		info.First, info.Newest = left[0], left[len(left)-1]
	}
	return info
}

func (s *stream) entries(ids []ID) (es []Entry) {
	for _, id := range ids {
		es = append(es, Entry{ID: id, Frame: []byte(s.frame[id])})
	}
	return es
}

// follow has the log read what the stream has after the head.
func (s *stream) follow() {
	seen := s.log.View()
	known := seen.Known()
	found := slices.Contains(s.left(), known.Head)
	ids := slices.DeleteFunc(slices.Clone(s.left()), func(id ID) bool { return !known.Head.Less(id) })
	snap := redisstream.Snapshot{Info: s.info(), HeadFound: found, Entries: len(ids)}
	if len(ids) > 0 {
		snap.Next = ids[0]
	}
	switch what, resumed := known.Classify(snap); what {
	case redisstream.Vanished:
		s.log.Vanish(seen)
	case redisstream.Replaced:
		panic("the model resets the log itself")
	default:
		es := s.entries(ids)
		if what == redisstream.Trimmed {
			es = append([]Entry{{ID: resumed, Kind: KindTrimmed}}, es...)
		}
		head := known.Head
		if len(es) > 0 {
			head = es[len(es)-1].ID
		}
		s.log.Append(seen, es, known.After(head, len(ids), &snap))
	}
}

// add adds up to n entries, in one go.
func (s *stream) add(n int) {
	id := s.last
	if id == (ID{}) { // a new stream may have any ids, but the log has seen higher ones
		id = s.log.View().Head()
	}
	for range 1 + s.rng.IntN(n) {
		id.Ms += 1 + s.rng.Uint64N(3)
		s.n++
		s.all, s.frame[id], s.last = append(s.all, id), fmt.Sprint(s.n), id
	}
	s.follow()
}

// leave is for readers of a stream that agrees with the next one up to a
// position: each is owed a gap if it stands beyond it, or if it has not got all of
// what is lost.
func (s *stream) leave(agree ID, vanishes bool) {
	for _, r := range s.readers {
		missed := agree.Less(r.pos) || len(s.after(agree)) > 0 && len(s.after(r.pos)) > 0
		if vanishes {
			missed = len(s.after(r.pos)) > 0
		}
		r.owed = r.owed || missed
		r.asleep++
	}
}

// vanish deletes the stream.
func (s *stream) vanish() {
	if !s.exists() {
		return
	}
	s.leave(ID{}, true)
	s.all, s.trimmed, s.last, s.frame = nil, 0, ID{}, map[ID]string{}
	s.follow()
}

// restore puts an older copy, or nothing of it, in the place of the stream.
func (s *stream) restore() {
	if s.trimmed > 0 || len(s.all) == 0 {
		return
	}
	keep := s.rng.IntN(len(s.all) + 1)
	agree := ID{}
	if keep > 0 {
		agree = s.all[keep-1]
	}
	if agree == s.log.View().Head() {
		return
	}
	s.leave(agree, false)
	s.all, s.last = slices.Clone(s.all[:keep]), agree
	frames := map[ID]string{} // views of before have theirs
	for _, id := range s.all {
		frames[id] = s.frame[id]
	}
	s.frame = frames
	s.log.Reset(s.log.View(), agree, redisstream.Known{HeadExists: keep > 0, Added: int64(keep), Counts: true, First: s.info().First})
}

// readPage reads a page as history does.
func (s *stream) readPage(pos ID, epoch uint32) *Page {
	if p := s.cache.Find(s.log, epoch, pos); p != nil {
		return p
	}
	v, count := s.log.View(), 1+s.rng.IntN(6)
	left := s.left()
	i, _ := slices.BinarySearchFunc(left, pos.Next(), ID.Compare)
	ids := left[i:min(len(left), i+count)]
	info := s.info()
	p := &Page{Resumed: pos, Entries: s.entries(ids), UpTo: s.last, Start: info.Start(), Last: s.last}
	switch {
	case s.last.Less(pos):
		p.Resumed, p.GapReason = s.last, metrics.GapReset
	case len(ids) > 0 && redisstream.Predates(pos, p.Start):
		p.Resumed, p.GapReason = ids[0].Prev(), metrics.GapReset
	case len(ids) > 0 && info.LostBetween(pos, ids[0]):
		p.Resumed, p.GapReason = ids[0].Prev(), metrics.GapTrimmed
	case len(ids) == 0 && info.LostBetween(pos, s.last.Next()):
		p.Resumed, p.GapReason = s.last, metrics.GapTrimmed
	}
	if len(ids) == count {
		p.UpTo = ids[count-1]
	}
	if v.Accept(p) {
		s.cache.Add(s.log, epoch, pos, p, time.Time{})
		s.log.Prepend(epoch, p)
	}
	return p
}

// step moves a reader once, and reports what was wrong with what it got.
func (s *stream) step(r *modelReader) (fault string) {
	slept := r.asleep
	b, state := s.log.Next(&r.cur, s.rng.IntN(30))
	if state == Behind {
		if s.log.View().Gone() {
			return "it is behind a stream that does not exist"
		}
		p := r.page
		if r.page = nil; p == nil {
			if p = s.readPage(r.cur.Pos(), r.cur.Epoch()); s.rng.IntN(3) == 0 {
				r.page = p // it arrives later
				return ""
			}
		}
		var stale bool
		if b, stale = s.log.Place(&r.cur, p); stale {
			return "it waits for a tail that has read everything"
		}
		if b.Gap == nil && b.Entries == nil && r.cur.Epoch() != s.log.View().Epoch() {
			return "" // the page came too late
		}
	}
	r.page, r.asleep = nil, 0
	if gap := b.Gap; gap != nil {
		if gap.After != r.pos {
			return fmt.Sprintf("a gap after %s, and it stands at %s", gap.After, r.pos)
		}
		if gap.Reason == metrics.GapReset && !r.owed && slept < 2 {
			return fmt.Sprintf("a gap %+v, and it has missed nothing", *gap)
		}
		if gap.Reason == metrics.GapTrimmed && r.owed {
			return "it is told of what was trimmed before it is told of the reset"
		}
		r.owed, r.pos = false, gap.Resumed
	}
	if r.owed {
		return fmt.Sprintf("it goes on with %v, %v and has not been told what it missed", b, state)
	}
	for _, e := range b.Entries {
		switch rest := s.after(r.pos); {
		case e.Kind == KindTrimmed:
		case len(rest) == 0 || rest[0] != e.ID || s.frame[e.ID] != string(e.Frame):
			return fmt.Sprintf("%s %s, and %v follow", e.ID, e.Frame, rest)
		}
		r.pos = e.ID
	}
	if state == UpToDate && len(s.after(r.pos)) > 0 {
		return fmt.Sprintf("it is up to date, and %v follow", s.after(r.pos))
	}
	return ""
}

// reconnect has a reader that knows of everything so far come back at its
// position.
func (s *stream) reconnect(r *modelReader) {
	if r.owed || r.asleep > 0 && len(s.after(r.pos)) > 0 && !s.log.View().isVanishedAt(r.pos) {
		return
	}
	if !slices.Contains(s.all, r.pos) && !s.log.View().isVanishedAt(r.pos) && !r.pos.IsZero() {
		return // it may claim an entry that has never been
	}
	r.cur, r.page, r.asleep = s.log.At(r.pos), nil, 0
}

// TestReadersModel has readers of every speed follow a stream that is trimmed,
// deleted, and replaced by older copies of itself. Each gets every entry, once and
// in order, and hears of a gap if it has missed something. After one reset it
// hears of none for nothing.
func TestReadersModel(t *testing.T) {
	t.Parallel()
	resets, gone := 0, 0
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 5))
		s := &stream{rng: rng, log: New(NewBudget(1<<22, 8, testMetrics()), "c", redisstream.Known{Counts: true}, false), cache: NewPageCache(1<<20, 0), frame: map[ID]string{}}
		for range 6 {
			s.readers = append(s.readers, &modelReader{cur: s.log.Now()})
		}
		for step := range 250 {
			switch rng.IntN(30) {
			case 0:
				s.vanish()
			case 1:
				s.restore()
			case 2:
				if n := len(s.left()); n > 0 {
					s.trimmed += rng.IntN(n)
					s.follow()
				}
			case 3, 4:
				s.reconnect(s.readers[rng.IntN(6)])
			case 5, 6, 7:
				s.add(5)
			case 8:
				s.cache.Expire(time.Time{})
			}
			i := rng.IntN(6)
			if rng.IntN(6) < i { // the first are slow
				i = rng.IntN(6)
			}
			if fault := s.step(s.readers[i]); fault != "" {
				t.Fatalf("seed %d step %d reader %d at %s: %s", seed, step, i, s.readers[i].pos, fault)
			}
		}
		for i, r := range s.readers {
			for range 200 {
				if fault := s.step(r); fault != "" {
					t.Fatalf("seed %d reader %d at %s at the end: %s", seed, i, r.pos, fault)
				}
			}
			if !s.log.Idle(&r.cur) || len(s.after(r.pos)) > 0 || r.owed {
				t.Fatalf("seed %d reader %d is at %s at the end", seed, i, r.pos)
			}
		}
		resets += int(s.log.View().Epoch())
		if s.log.View().Gone() {
			gone++
		}
	}
	t.Logf("%d resets, %d of 400 streams are gone at the end", resets, gone)
}

// TestConcurrentUse has cursors read a log while it grows, is shrunk by a budget
// and extended into the past.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	const last = 3000
	b := NewBudget(20_000, 256, testMetrics())
	l := New(b, "c", redisstream.Known{}, false)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range uint64(last) {
			add(l, 256, testEntry(at(i+1), 50))
		}
	})
	for range 3 {
		wg.Go(func() {
			for c := l.From(ID{}); c.Pos() != at(last); {
				before := c.Pos()
				batch, state := l.Next(&c, 500)
				for i, e := range batch.Entries {
					if e.ID != at(before.Ms+uint64(i)+1) {
						t.Errorf("entry %s at place %d after %s", e.ID, i, before)
						return
					}
				}
				if state != Behind {
					continue
				}
				l.Touch()
				p := &Page{Resumed: before, Last: at(last)}
				for p.UpTo = before; p.UpTo.Less(l.View().Head()) && len(p.Entries) < 100; {
					p.UpTo = at(p.UpTo.Ms + 1)
					p.Entries = append(p.Entries, testEntry(p.UpTo, 50))
				}
				if !l.View().Accept(p) {
					t.Error("not accepted")
					return
				}
				l.Prepend(c.Epoch(), p)
				if batch, _ := l.Place(&c, p); batch.Gap != nil {
					t.Errorf("a gap %+v", batch.Gap)
					return
				}
			}
		})
	}
	wg.Wait()
	if b.bytes != l.View().Bytes() || b.bytes > b.maxBytes || b.events != l.View().Len() {
		t.Errorf("%d bytes and %d events are accounted, of %d and %d", b.bytes, b.events, l.View().Bytes(), l.View().Len())
	}
}
