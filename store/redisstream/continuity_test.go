package redisstream

import "testing"

// In these tables an id is its milliseconds, and 0 is none.
func at(ms uint64) ID { return ID{Ms: ms} }

func info(first, last uint64, length, added int64) Info {
	return Info{Exists: true, First: at(first), Last: at(last), Length: length, Added: added}
}

func deleted(i Info, ms uint64) Info { i.Deleted = at(ms); return i }

// found is a snapshot with the entry at the head; lacks, one without. Then
// follow the entries after the head.
func found(i Info, entries ...uint64) Snapshot { return snapshot(i, true, entries) }
func lacks(i Info, entries ...uint64) Snapshot { return snapshot(i, false, entries) }

func snapshot(i Info, found bool, entries []uint64) Snapshot {
	s := Snapshot{Info: i, HeadFound: found, Entries: len(entries)}
	if len(entries) > 0 {
		s.Next = at(entries[0])
	}
	return s
}

func inside(s Snapshot) Snapshot { s.TrimsInside = true; return s }
func more(s Snapshot) Snapshot   { s.More = true; return s }

func TestClassify(t *testing.T) {
	t.Parallel()
	const unknown = -1
	head := func(ms uint64, exists bool, added int64) Known {
		return Known{Head: at(ms), HeadExists: exists, Added: added, Removed: unknown}
	}
	// gone is a stream that had 10-0, was read up to there, and disappeared.
	gone := Known{Head: at(10), Gone: true, Counts: true}
	gone6 := Known{Head: at(10), Gone: true} // Redis 6, which does not count
	gone6.look(Info{})
	// read has read all of a stream of 3 entries from which none was removed;
	// long, one of 10 of which 8 were.
	read := Known{Head: at(12), HeadExists: true, Added: 3, Removed: 0, First: at(10)}
	long := Known{Head: at(20), HeadExists: true, Added: 10, Removed: 8, First: at(19)}
	never := Info{Exists: true} // by XGROUP CREATE with MKSTREAM
	never6 := Info{Exists: true, Added: unknown}
	for name, c := range map[string]struct {
		known   Known
		s       Snapshot
		want    Continuity
		resumed ID
	}{
		"nothing new":               {head(10, true, 3), found(info(8, 10, 3, 3)), Continues, ID{}},
		"new entries":               {head(10, true, 3), found(info(8, 12, 5, 5), 11, 12), Continues, ID{}},
		"no stream yet":             {head(0, false, 0), lacks(Info{}), Continues, ID{}},
		"no entry yet":              {head(0, false, 0), lacks(never), Continues, ID{}},
		"the first entry ever":      {head(0, false, 0), lacks(info(11, 11, 1, 1), 11), Continues, ID{}},
		"first entries trimmed":     {head(0, false, 0), lacks(info(12, 13, 2, 3), 12, 13), Trimmed, at(12).Prev()},
		"the stream is gone":        {head(10, true, 3), lacks(Info{}), Vanished, ID{}},
		"gone and made again":       {head(10, true, 3), lacks(never), Vanished, ID{}},
		"made again, Redis 6":       {head(10, true, unknown), lacks(never6), Vanished, ID{}},
		"an older copy":             {head(10, true, 3), lacks(info(5, 9, 2, 2)), Replaced, ID{}},
		"an older copy went on":     {head(10, true, 3), lacks(info(8, 12, 3, 3), 12), Replaced, ID{}},
		"fewer were ever added":     {head(10, false, 9), lacks(info(8, 12, 3, 3), 12), Replaced, ID{}},
		"the last was deleted":      {head(10, true, 3), lacks(deleted(info(8, 10, 2, 3), 10)), Continues, ID{}},
		"deleted, then more":        {head(10, true, 3), lacks(deleted(info(8, 12, 3, 4), 10), 12), Continues, ID{}},
		"all trimmed, none lost":    {head(10, true, 3), lacks(info(0, 10, 0, 3)), Continues, ID{}},
		"all trimmed, two lost":     {head(10, true, 3), lacks(info(0, 12, 0, 5)), Trimmed, at(12)},
		"trimmed up to the head":    {head(10, true, 3), lacks(info(11, 12, 2, 5), 11, 12), Continues, ID{}},
		"trimmed past the head":     {head(10, true, 3), lacks(info(12, 13, 2, 6), 12, 13), Trimmed, at(12).Prev()},
		"new stream, higher ids":    {head(10, true, 3), lacks(info(11, 15, 5, 5), 11, 15), Replaced, ID{}},
		"XSETID beyond the end":     {head(10, true, 3), found(info(8, 99, 3, 3)), Continues, ID{}},
		"XSETID of an empty stream": {head(10, false, 3), lacks(info(0, 99, 0, 3)), Continues, ID{}},
		"count unknown, none gone":  {head(10, true, unknown), lacks(info(11, 11, 4, 4), 11), Continues, ID{}},
		"count unknown, some gone":  {head(10, true, unknown), lacks(info(12, 12, 1, 9), 12), Trimmed, at(12).Prev()},
		"next id, nothing between":  {head(10, true, unknown), Snapshot{Info: Info{Exists: true, First: ID{10, 1}, Last: ID{10, 1}, Length: 1, Added: 9}, Entries: 1, Next: ID{10, 1}}, Continues, ID{}},
		"Redis 6, trimmed":          {head(10, true, unknown), lacks(info(12, 12, 1, unknown), 12), Trimmed, at(12).Prev()},
		"Redis 6, empty before":     {head(0, false, unknown), lacks(info(12, 12, 1, unknown), 12), Continues, ID{}},
		"Redis 6, head missing":     {head(10, true, unknown), lacks(info(8, 12, 2, unknown), 12), Continues, ID{}},

		// A stream that disappeared under a reader who had all of it.
		"gone, still":                           {gone, lacks(Info{}), Continues, ID{}},
		"gone, made again":                      {gone, lacks(never), Continues, ID{}},
		"back, higher ids":                      {gone, lacks(info(11, 12, 2, 2), 11, 12), Continues, ID{}},
		"back, higher ids, some trimmed":        {gone, lacks(info(12, 13, 2, 3), 12, 13), Trimmed, at(12).Prev()},
		"back, lower ids":                       {gone, lacks(info(3, 5, 2, 2)), Replaced, ID{}},
		"back, the same id":                     {gone, found(info(10, 10, 1, 1)), Replaced, ID{}},
		"back, ids on both sides":               {gone, lacks(info(5, 12, 3, 3), 12), Replaced, ID{}},
		"back, both sides, the lower trimmed":   {gone, lacks(info(12, 12, 1, 3), 12), Trimmed, at(12).Prev()},
		"back, emptied again, higher ids":       {gone, lacks(info(0, 12, 0, 2)), Trimmed, at(12)},
		"back, emptied again, lower ids":        {gone, lacks(info(0, 5, 0, 2)), Replaced, ID{}},
		"back, emptied again, the same id":      {gone, lacks(info(0, 10, 0, 1)), Replaced, ID{}},
		"back, more than were read":             {gone, more(lacks(info(11, 99, 9, 9), 11, 12)), Continues, ID{}},
		"gone, still, Redis 6":                  {gone6, lacks(Info{}), Continues, ID{}},
		"gone, made again, Redis 6":             {gone6, lacks(never6), Continues, ID{}},
		"back, higher ids, Redis 6":             {gone6, lacks(info(11, 12, 2, unknown), 11, 12), Continues, ID{}},
		"back, lower ids, Redis 6":              {gone6, lacks(info(3, 5, 2, unknown)), Replaced, ID{}},
		"back, both sides, Redis 6":             {gone6, lacks(info(5, 12, 3, unknown), 12), Replaced, ID{}},
		"back, emptied again, Redis 6":          {gone6, lacks(info(0, 12, 0, unknown)), Trimmed, at(12)},
		"back, emptied, the same id, Redis 6":   {gone6, lacks(info(0, 10, 0, unknown)), Replaced, ID{}},
		"back, emptied, lower ids, Redis 6":     {gone6, lacks(info(0, 9, 0, unknown)), Replaced, ID{}},
		"back, one trimmed may be lost, Redis6": {gone6, lacks(info(12, 12, 1, unknown), 12), Continues, ID{}},

		// A server that trims from the middle: XTRIM sse:q MAXLEN = 1 ACKED with
		// 10-0 pending leaves that and takes 11-0 and 12-0.
		"trimmed inside":                   {read, inside(lacks(info(10, 12, 1, 3))), Continues, ID{}},
		"the same, where no server can":    {read, lacks(info(10, 12, 1, 3)), Replaced, ID{}},
		"trimmed inside, then more":        {read, inside(lacks(info(10, 15, 3, 5), 14, 15)), Continues, ID{}},
		"trimmed inside, with later ones":  {read, inside(lacks(info(10, 15, 2, 6), 15)), Continues, ID{}},
		"trimmed inside, the head stays":   {read, inside(found(info(12, 12, 1, 3))), Continues, ID{}},
		"trimmed inside, up to the head":   {read, inside(lacks(info(13, 14, 2, 5), 13, 14)), Continues, ID{}},
		"trimmed inside, past the head":    {read, inside(lacks(info(14, 14, 1, 5), 14)), Trimmed, at(14).Prev()},
		"an older copy, as many as lost":   {read, inside(lacks(info(10, 13, 3, 3), 13)), Replaced, ID{}},
		"an older copy, more than lost":    {read, inside(lacks(info(10, 15, 5, 5), 13, 14, 15)), Replaced, ID{}},
		"an older copy, fewer than lost":   {read, inside(lacks(info(10, 13, 2, 2), 13)), Replaced, ID{}},
		"an older copy, not gone on":       {read, inside(lacks(info(10, 11, 2, 2))), Replaced, ID{}},
		"an older copy, trimmed further":   {long, inside(lacks(info(18, 22, 3, 10), 21, 22)), Replaced, ID{}},
		"an older copy, more than is read": {long, more(inside(lacks(info(18, 99, 80, 90), 21, 22))), Replaced, ID{}},
		"an older copy, trimmed later":     {read, inside(lacks(info(11, 15, 4, 5), 13, 14, 15)), Replaced, ID{}},
		"an older copy, ids before head":   {read, inside(lacks(info(10, 13, 4, 4), 13)), Replaced, ID{}},
		"deleted where trims are inside":   {read, inside(lacks(deleted(info(10, 12, 2, 3), 12))), Continues, ID{}},
		"nothing known of the trims":       {head(12, true, unknown), inside(lacks(info(10, 12, 1, 3))), Replaced, ID{}},
	} {
		if got, resumed := c.known.Classify(c.s); got != c.want || resumed != c.resumed {
			t.Errorf("%s: %d, %s; want %d, %s", name, got, resumed, c.want, c.resumed)
		}
	}
}

// The number of entries that were ever added is followed through reads that take
// all, and reads that do not.
func TestAfterCounts(t *testing.T) {
	t.Parallel()
	k := Known{Head: at(10)}
	look := func(first uint64, length, added int64) *Snapshot {
		s := lacks(info(first, 99, length, added))
		return &s
	}
	full := func(s *Snapshot) *Snapshot { s.More = true; return s }
	for i, c := range []struct {
		entries int
		look    *Snapshot
		want    int64
		removed int64
		counts  bool
	}{
		{0, look(5, 3, 7), 7, 4, true},
		{2, nil, 9, 4, true},
		{3, full(look(5, 9, 99)), 12, 90, true},  // a part of what follows the head
		{3, full(look(11, 9, 99)), 93, 90, true}, // of what is left
		{0, look(5, 9, -1), -1, -1, false},
		{5, nil, -1, -1, false},
		{3, full(look(5, 9, 99)), -1, 90, true}, // still unknown
		{5, look(5, 9, 50), 50, 41, true},
	} {
		k = k.After(at(10), c.entries, c.look)
		if k.Added != c.want || k.Removed != c.removed || k.Counts != c.counts {
			t.Errorf("step %d: %+v, want %+v", i, k, c)
		}
	}
}

func TestAfterHead(t *testing.T) {
	t.Parallel()
	k := Known{Head: at(10), First: at(8), Added: 3}
	for i, c := range []struct {
		head    uint64
		entries int
		look    *Snapshot
		want    Known
	}{
		{10, 0, nil, Known{Head: at(10), First: at(8), Added: 3}},
		{12, 2, nil, Known{Head: at(12), HeadExists: true, First: at(8), Added: 5}},
		{12, 0, ref(found(info(9, 12, 4, 5))), Known{Head: at(12), HeadExists: true, First: at(9), Added: 5, Removed: 1, Counts: true}},
		{12, 0, ref(lacks(deleted(info(9, 12, 3, 5), 12))), Known{Head: at(12), First: at(9), Added: 5, Removed: 2, Counts: true}},
		{13, 1, ref(lacks(info(9, 13, 4, 6), 13)), Known{Head: at(13), HeadExists: true, First: at(9), Added: 6, Removed: 2, Counts: true}},
		// Gone, and still gone once it was looked at again, until there is an entry.
		{13, 0, ref(lacks(Info{})), Known{Head: at(13), Gone: true, Counts: true}},
		{13, 0, ref(lacks(Info{})), Known{Head: at(13), Gone: true, Counts: true}},
		{13, 0, ref(lacks(Info{Exists: true})), Known{Head: at(13), Gone: true, Counts: true}},
		{15, 2, ref(lacks(info(14, 15, 2, 2), 14, 15)), Known{Head: at(15), HeadExists: true, First: at(14), Added: 2, Counts: true}},
	} {
		if k = k.After(at(c.head), c.entries, c.look); k != c.want {
			t.Errorf("step %d: %+v, want %+v", i, k, c.want)
		}
	}
	// There is nothing to miss of a stream that never was.
	if k := Start(Info{}).After(ID{}, 0, ref(lacks(Info{}))); k.Gone {
		t.Errorf("%+v", k)
	}
}

func ref[T any](v T) *T { return &v }

func TestStart(t *testing.T) {
	t.Parallel()
	newest := func(i Info, ms uint64) Info { i.Newest = at(ms); return i }
	for name, c := range map[string]struct {
		info Info
		want Known
	}{
		"no stream":           {Info{}, Known{}},
		"no entry yet":        {Info{Exists: true}, Known{Counts: true}},
		"entries":             {newest(info(8, 10, 3, 5), 10), Known{Head: at(10), HeadExists: true, Added: 5, Removed: 2, First: at(8), Counts: true}},
		"the last is deleted": {newest(info(8, 10, 2, 5), 9), Known{Head: at(10), Added: 5, Removed: 3, First: at(8), Counts: true}},
		"emptied":             {info(0, 10, 0, 5), Known{Head: at(10), Added: 5, Removed: 5, Counts: true}},
		"Redis 6":             {newest(info(8, 10, 3, -1), 10), Known{Head: at(10), HeadExists: true, Added: -1, Removed: -1, First: at(8)}},
		"Redis 6, no entry":   {Info{Exists: true, Added: -1}, Known{Added: -1, Removed: -1}},
	} {
		if got := Start(c.info); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestLostBetweenAndPredates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		info      Info
		pos, next ID
		want      bool
	}{
		"nothing was removed":           {info(8, 10, 3, 3), ID{}, at(8), false},
		"some was":                      {info(8, 10, 3, 5), ID{}, at(8), true},
		"not before the first entry":    {info(8, 10, 3, 5), at(8), at(9), false},
		"no id between":                 {info(8, 10, 3, 5), at(8).Prev(), at(8), false},
		"emptied":                       {info(0, 10, 0, 3), at(5), at(10).Next(), true},
		"Redis 6":                       {info(8, 10, 3, -1), at(5), at(8), true},
		"Redis 6, from an empty stream": {info(8, 10, 3, -1), ID{}, at(8), false},
	} {
		if got := c.info.LostBetween(c.pos, c.next); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for name, c := range map[string]struct {
		pos  ID
		info Info
		want bool
	}{
		"before a whole stream":      {at(5), info(8, 10, 3, 3), true},
		"right before it":            {at(8).Prev(), info(8, 10, 3, 3), false},
		"a time before it":           {at(5).Prev(), info(8, 10, 3, 3), false},
		"in it":                      {at(9), info(8, 10, 3, 3), false},
		"the empty stream before it": {ID{}, info(8, 10, 3, 3), false},
		"before a trimmed stream":    {at(5), info(8, 10, 3, 4), false},
	} {
		if got := Predates(c.pos, c.info.Start()); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
