package eventlog

import (
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// TestKnowsAndCovers asks a log with 20 and 30, before which it has let go of 10,
// about the positions of clients.
func TestKnowsAndCovers(t *testing.T) {
	t.Parallel()
	l := newLog(at(5))
	add(l, 2, entries(10, 20, 30)...)
	trimmed := newLog(at(5))
	add(trimmed, 9, Entry{ID: at(20).Prev(), Kind: KindTrimmed}, testEntry(at(20), 1))
	next := newLog(at(5))
	add(next, 9, Entry{ID: ID{Ms: 10, Seq: 1}})
	empty := newLog(at(30))
	for name, c := range map[string]struct {
		log           *Log
		pos           ID
		knows, covers bool
	}{
		"the start":                     {l, ID{}, true, false},
		"a time before the floor":       {l, at(7).Prev(), true, false},
		"before the floor":              {l, at(7), false, false},
		"the floor":                     {l, at(10), true, true},
		"before the first":              {l, at(11), false, false},
		"a time before the first":       {l, at(11).Prev(), true, true},
		"the first":                     {l, at(20), true, true},
		"between two":                   {l, at(25), true, true},
		"the head":                      {l, at(30), true, false},
		"beyond the head":               {l, at(31), false, false},
		"a time beyond the head":        {l, at(41).Prev(), false, false},
		"before what was trimmed":       {trimmed, at(7), true, true},
		"an id before the first":        {next, at(10), true, true},
		"two ids before the first":      {next, at(10).Prev().Prev(), false, false},
		"the head of an empty log":      {empty, at(30), true, false},
		"before the head of an empty":   {empty, at(29), false, false},
		"a time before it":              {empty, at(29).Prev(), true, false},
		"beyond the head of an empty":   {empty, at(31), false, false},
		"the start of a stream, and on": {empty, ID{}, true, false},
	} {
		v := c.log.View()
		if knows, covers := v.Knows(c.pos), v.Covers(c.pos); knows != c.knows || covers != c.covers {
			t.Errorf("%s: Knows is %v, want %v; Covers is %v, want %v", name, knows, c.knows, covers, c.covers)
		}
	}
}

// TestPrependKeepsTheInvariant offers pages that do not belong before the floor.
func TestPrependKeepsTheInvariant(t *testing.T) {
	t.Parallel()
	shrunk := func() *Log { // (10, 15] without entries
		l := newLog(at(5))
		add(l, 9, entries(10, 20)...)
		l.Reset(l.View(), at(15), redisstream.Known{})
		l.Shrink()
		return l
	}
	filled := func() *Log { // (10, 30] with 20 and 30
		l := newLog(at(10))
		add(l, 9, entries(20, 30)...)
		return l
	}
	for name, c := range map[string]struct {
		log   *Log
		page  Page
		floor uint64
		len   int
	}{
		"it begins after the floor":          {filled(), Page{Resumed: at(15), UpTo: at(30), Entries: entries(20, 30)}, 10, 2},
		"it begins at the floor":             {filled(), Page{Resumed: at(10), UpTo: at(30), Entries: entries(20, 30)}, 10, 2},
		"it ends before the floor":           {filled(), Page{Resumed: at(5), UpTo: at(9), Entries: entries(7)}, 10, 2},
		"it ends at the floor":               {filled(), Page{Resumed: at(5), UpTo: at(10), Entries: entries(7, 10)}, 5, 4},
		"it has another first entry":         {filled(), Page{Resumed: at(5), UpTo: at(30), Entries: entries(7, 21, 30)}, 10, 2},
		"it has nothing before the floor":    {filled(), Page{Resumed: at(5), UpTo: at(30), Entries: entries(20, 30)}, 5, 2},
		"it has an entry that the log lacks": {shrunk(), Page{Resumed: at(5), UpTo: at(15), Entries: entries(10, 12)}, 10, 0},
		"it agrees with the empty log":       {shrunk(), Page{Resumed: at(5), UpTo: at(20), Entries: entries(10, 20)}, 5, 1},
	} {
		prepend(c.log, c.log.View().Epoch(), &c.page, 9, 1<<20)
		if v := c.log.View(); v.Floor() != at(c.floor) || v.Len() != c.len {
			t.Errorf("%s: floor %s with %d entries, want %d with %d", name, v.Floor(), v.Len(), c.floor, c.len)
		}
	}
}
