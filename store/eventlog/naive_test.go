package eventlog

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

type ID = redisstream.ID

// naiveLog is what a log is supposed to be, without sharing, slicing or running
// sums.
type naiveLog struct {
	known  redisstream.Known
	floor  ID
	epoch  uint32
	ids    []ID
	size   map[ID]int
	resets []naiveReset
}

// naiveReset is the end of an epoch with all that the log had then: the floor,
// which stands for what was before it, and the entries.
type naiveReset struct {
	epoch uint32 // the one that began
	to    ID
	had   []ID
	gone  bool
}

func (n *naiveLog) head() ID { return n.known.Head }

func (n *naiveLog) after(pos ID) (ids []ID) {
	for _, id := range n.ids {
		if pos.Less(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (n *naiveLog) evict(count int) {
	if count > 0 {
		n.floor, n.ids = n.ids[count-1], slices.Clone(n.ids[count:])
	}
}

func (n *naiveLog) bytes() (sum int) {
	for _, id := range n.ids {
		sum += n.size[id]
	}
	return sum
}

// ended returns where a stream ended that vanished, if no reset has gone back
// to there since, else 0-0.
func (n *naiveLog) ended() (end ID) {
	for _, r := range n.resets {
		if r.gone {
			end = r.to
		} else if !end.Less(r.to) {
			end = ID{}
		}
	}
	return end
}

func (n *naiveLog) isVanishedAt(pos ID) bool { return !pos.IsZero() && pos == n.ended() }

// exact takes a cursor through the resets after epoch, one after the other:
// where it is in the end, and whether it lost something on the way.
func (n *naiveLog) exact(pos ID, epoch uint32) (to ID, missed bool) {
	for _, r := range n.resets {
		switch {
		case r.epoch <= epoch:
			continue
		case r.gone:
			pos, missed = r.to, missed || pos != r.to
			continue
		case r.to.Less(pos):
			pos, missed = r.to, true
		}
		for _, id := range r.had {
			missed = missed || r.to.Less(id) && pos.Less(id)
		}
	}
	return pos, missed
}

// resumed is what a cursor is told: what is exact after one reset. After several
// it may be told of a gap that it did not need, from further back.
func (n *naiveLog) resumed(pos ID, epoch uint32) (to ID, missed bool) {
	if to, missed = n.exact(pos, epoch); n.epoch-epoch <= 1 {
		return to, missed
	}
	for _, r := range n.resets {
		pos = redisstream.Min(pos, r.to)
	}
	if end := n.ended(); pos.Less(end) {
		return end, true
	}
	return pos, true
}

func at(ms uint64) ID { return ID{Ms: ms} }

// newLog returns a log with a budget of its own.
func newLog(head ID) *Log { return logOf(redisstream.Known{Head: head}) }

func logOf(known redisstream.Known) *Log {
	return New(NewBudget(1<<30, 1<<20, testMetrics()), "c", known, false)
}

// add appends entries to a log that nobody else changes, which keeps so many.
func add(l *Log, maxEvents int, es ...Entry) {
	l.budget.mu.Lock()
	l.budget.maxEvents = maxEvents
	l.budget.mu.Unlock()
	v := l.View()
	l.Append(v, es, v.Known())
}

// prepend is Prepend with a budget that has so much for the past of a log.
func prepend(l *Log, epoch uint32, p *Page, maxEvents, maxBytes int) {
	all := l.budget.maxBytes
	l.budget.maxEvents, l.budget.maxBytes = maxEvents, 4*maxBytes
	l.Prepend(epoch, p)
	l.budget.maxBytes = all
}

func testEntry(id ID, n int) Entry {
	return Entry{ID: id, Frame: fmt.Appendf(make([]byte, 0, n), "%-*s", n, id)}
}

func entries(ms ...uint64) (es []Entry) {
	for _, ms := range ms {
		es = append(es, testEntry(at(ms), 10))
	}
	return es
}

func idsOf(es []Entry) (ids []ID) {
	for _, e := range es {
		ids = append(ids, e.ID)
	}
	return ids
}

// randomChange does the same thing to both.
func randomChange(rng *rand.Rand, l *Log, m *naiveLog) {
	const maxEvents = 20
	seen, applied := l.View(), true
	l.budget.maxEvents = maxEvents
	switch rng.IntN(9) {
	case 0:
		m.evict((len(m.ids) + 1) / 2)
		l.Shrink()
	case 1:
		randomPrepend(rng, l, m, maxEvents)
	case 2:
		if rng.IntN(3) > 0 {
			return
		}
		applied = randomReset(rng, l, m)
	case 3:
		if rng.IntN(3) > 0 {
			return
		}
		if !m.known.Gone {
			m.epoch++
			m.resets = append(m.resets, naiveReset{epoch: m.epoch, to: m.head(), gone: true})
			m.ids, m.floor = nil, ID{}
			m.known = redisstream.Known{Head: m.head(), Gone: true, Counts: m.known.Counts}
		}
		applied = l.Vanish(seen)
	case 4:
		m.known.Added, m.known.First, m.known.Counts = rng.Int64N(100), at(rng.Uint64N(100)), rng.IntN(2) == 0
		known := m.known
		known.Head = at(1) // the log knows better
		applied = l.Append(seen, nil, known)
	default:
		var es []Entry
		for range 1 + rng.IntN(6) {
			m.known.Head.Ms += 1 + rng.Uint64N(3)
			e := testEntry(m.head(), rng.IntN(8000))
			es, m.ids = append(es, e), append(slices.Clone(m.ids), e.ID)
			m.size[e.ID] = e.size()
		}
		m.evict(len(m.ids) - maxEvents)
		m.known.Gone, m.known.Added = false, m.known.Added+int64(len(es))
		applied = l.Append(seen, es, m.known)
		clear(es) // the caller uses its slice again
	}
	if !applied {
		panic("a change was refused that nobody came before")
	}
}

func randomReset(rng *rand.Rand, l *Log, m *naiveLog) bool {
	to := at(rng.Uint64N(m.head().Ms + 1))
	switch rng.IntN(4) {
	case 0:
		to = ID{}
	case 1:
		to = m.head() // nothing is lost
	}
	m.epoch++
	m.resets = append(m.resets, naiveReset{epoch: m.epoch, to: to, had: append([]ID{m.floor}, m.ids...)})
	m.ids = slices.DeleteFunc(slices.Clone(m.ids), to.Less)
	m.floor = redisstream.Min(m.floor, to)
	m.known = redisstream.Known{Head: to, Added: rng.Int64N(9)}
	return l.Reset(l.View(), to, m.known)
}

// randomPrepend offers a page that reaches the floor, or not, or is of another
// stream.
func randomPrepend(rng *rand.Rand, l *Log, m *naiveLog, maxEvents int) {
	pos := at(m.floor.Ms - rng.Uint64N(m.floor.Ms+1))
	upTo := at(pos.Ms + rng.Uint64N(30))
	var page []Entry
	for ms := pos.Ms + 1; ms <= upTo.Ms && ms <= m.floor.Ms; ms++ {
		if rng.IntN(2) == 0 {
			page = append(page, testEntry(at(ms), rng.IntN(2000)))
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
	epoch, maxBytes := m.epoch, l.View().bytes+rng.IntN(30_000)
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
	prepend(l, epoch, &Page{Resumed: pos, UpTo: upTo, Entries: page}, maxEvents, maxBytes)
}
