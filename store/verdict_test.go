package store

import "testing"

func TestVerdict(t *testing.T) {
	t.Parallel()
	id := func(ms uint64) ID { return ID{ms, 0} }
	at := func(ids ...uint64) (es []Entry) {
		for _, ms := range ids {
			es = append(es, Entry{ID: id(ms)})
		}
		return es
	}
	info := func(first, last uint64, length, added int64) streamInfo {
		return streamInfo{exists: true, first: id(first), last: id(last), length: length, added: added}
	}
	deleted := func(i streamInfo, ms uint64) streamInfo { i.deleted = id(ms); return i }
	for name, c := range map[string]struct {
		head     uint64
		anchored bool
		added    int64 // of the window
		look     stretch
		want     verdict
	}{
		"nothing new":               {10, true, 3, stretch{info: info(8, 10, 3, 3), found: true}, verdict{}},
		"new entries":               {10, true, 3, stretch{info: info(8, 12, 5, 5), found: true, entries: at(11, 12)}, verdict{}},
		"no stream yet":             {0, false, 0, stretch{}, verdict{}},
		"the first entry ever":      {0, false, 0, stretch{info: info(11, 11, 1, 1), entries: at(11)}, verdict{}},
		"first entries trimmed":     {0, false, 0, stretch{info: info(12, 13, 2, 3), entries: at(12, 13)}, verdict{trimmed, id(12).Prev()}},
		"the stream is gone":        {10, true, 3, stretch{}, verdict{outcome: replaced}},
		"an older copy":             {10, true, 3, stretch{info: info(5, 9, 2, 2)}, verdict{outcome: replaced}},
		"an older copy went on":     {10, true, 3, stretch{info: info(8, 12, 3, 3), entries: at(12)}, verdict{outcome: replaced}},
		"fewer were ever added":     {10, false, 9, stretch{info: info(8, 12, 3, 3), entries: at(12)}, verdict{outcome: replaced}},
		"the last was deleted":      {10, true, 3, stretch{info: deleted(info(8, 10, 2, 3), 10)}, verdict{}},
		"deleted, then more":        {10, true, 3, stretch{info: deleted(info(8, 12, 3, 4), 10), entries: at(12)}, verdict{}},
		"all trimmed, none lost":    {10, true, 3, stretch{info: info(0, 10, 0, 3)}, verdict{}},
		"all trimmed, two lost":     {10, true, 3, stretch{info: info(0, 12, 0, 5)}, verdict{trimmed, id(12)}},
		"trimmed up to the head":    {10, true, 3, stretch{info: info(11, 12, 2, 5), entries: at(11, 12)}, verdict{}},
		"trimmed past the head":     {10, true, 3, stretch{info: info(12, 13, 2, 6), entries: at(12, 13)}, verdict{trimmed, id(12).Prev()}},
		"new stream, higher ids":    {10, true, 3, stretch{info: info(11, 15, 5, 5), entries: at(11, 15)}, verdict{outcome: replaced}},
		"XSETID beyond the end":     {10, true, 3, stretch{info: info(8, 99, 3, 3), found: true}, verdict{}},
		"XSETID of an empty stream": {10, false, 3, stretch{info: info(0, 99, 0, 3)}, verdict{}},
		"count unknown, none gone":  {10, true, -1, stretch{info: info(11, 11, 4, 4), entries: at(11)}, verdict{}},
		"count unknown, some gone":  {10, true, -1, stretch{info: info(12, 12, 1, 9), entries: at(12)}, verdict{trimmed, id(12).Prev()}},
		"next id, nothing between":  {10, true, -1, stretch{info: streamInfo{exists: true, first: ID{10, 1}, last: ID{10, 1}, length: 1, added: 9}, entries: []Entry{{ID: ID{10, 1}}}}, verdict{}},
		"Redis 6, trimmed":          {10, true, -1, stretch{info: info(12, 12, 1, -1), entries: at(12)}, verdict{trimmed, id(12).Prev()}},
		"Redis 6, empty before":     {0, false, -1, stretch{info: info(12, 12, 1, -1), entries: at(12)}, verdict{}},
		"Redis 6, head missing":     {10, true, -1, stretch{info: info(8, 12, 2, -1), entries: at(12)}, verdict{}},
	} {
		w := newWindow(id(c.head))
		w.added = c.added
		r := tailRead{task: task{w: w}, head: id(c.head), anchored: c.anchored}
		if got := r.verdict(c.look); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

// TestCount follows the number of entries that were ever added through reads
// that take all, and reads that do not.
func TestCount(t *testing.T) {
	t.Parallel()
	w := newWindow(ID{10, 0})
	look := func(first uint64, length, added int64) *stretch {
		return &stretch{info: streamInfo{exists: true, first: ID{first, 0}, length: length, added: added}}
	}
	for i, c := range []struct {
		events int
		full   bool
		look   *stretch
		want   int64
	}{
		{0, false, look(5, 3, 7), 7},
		{2, false, nil, 9},
		{3, true, look(5, 9, 99), 12},  // a part of what follows the head
		{3, true, look(11, 9, 99), 93}, // of what is left
		{0, false, look(5, 9, -1), -1},
		{5, false, nil, -1},
		{5, false, look(5, 9, 50), 50},
	} {
		if w.count(c.events, c.full, c.look); w.added != c.want {
			t.Errorf("step %d: %d, want %d", i, w.added, c.want)
		}
	}
}
