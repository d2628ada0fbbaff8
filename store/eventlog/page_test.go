package eventlog

import (
	"fmt"
	"testing"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// TestPageEndsAtTheHead has a page of history with entries that the tail has not
// read: they come when it has.
func TestPageEndsAtTheHead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		resumed, upTo uint64
		entries       []uint64
		head          uint64
		want          int
		pos           uint64
	}{
		"behind it":          {10, 30, []uint64{20, 30}, 40, 2, 30},
		"up to it":           {10, 30, []uint64{20, 30}, 30, 2, 30},
		"past it":            {10, 30, []uint64{20, 30}, 25, 1, 25},
		"all of it is past":  {10, 30, []uint64{20, 30}, 15, 0, 15},
		"from a later one":   {20, 30, []uint64{30}, 15, 0, 20},
		"nothing, past it":   {10, 30, nil, 15, 0, 15},
		"nothing, up to it":  {10, 30, nil, 30, 0, 30},
		"at the client's id": {30, 30, nil, 15, 0, 30},
	} {
		l := newLog(at(c.head))
		cur := l.At(at(c.resumed))
		p := &Page{Resumed: at(c.resumed), UpTo: at(c.upTo), Entries: entries(c.entries...), Last: at(99)}
		if !l.View().Accept(p) {
			t.Errorf("%s: not accepted", name)
		}
		b, stale := l.Place(&cur, p)
		if stale || b.Gap != nil || len(b.Entries) != c.want || cap(b.Entries) != c.want || cur.Pos() != at(c.pos) {
			t.Errorf("%s: %+v, %v up to %s, want %d up to %d", name, b, stale, cur.Pos(), c.want, c.pos)
		}
	}
}

// TestAcceptKnowsTheStream refuses pages of another stream than the log's.
func TestAcceptKnowsTheStream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		head, start, last uint64
		gone, want        bool
	}{
		"the same":                   {20, 10, 30, false, true},
		"as long":                    {20, 10, 20, false, true},
		"one that begins there":      {20, 20, 30, false, true},
		"one that was trimmed":       {20, 0, 30, false, true},
		"shorter":                    {20, 10, 19, false, false},
		"deleted":                    {20, 0, 0, false, false},
		"begun after the head":       {20, 21, 30, false, false},
		"the first of an empty one":  {0, 21, 30, false, true},
		"gone as before":             {20, 0, 0, true, true},
		"gone, and there again":      {20, 30, 30, true, false},
		"gone, and older than it":    {20, 5, 10, true, false},
		"gone, and there but longer": {20, 0, 40, true, true},
	} {
		v := logOf(redisstream.Known{Head: at(c.head), Gone: c.gone}).View()
		if got := v.Accept(&Page{Start: at(c.start), Last: at(c.last)}); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestPlace is what a page has for cursors of a log with 20 and 21 at its end,
// and whatever happened to its stream before.
func TestPlace(t *testing.T) {
	t.Parallel()
	never := func(*Log) {}
	resetTo := func(ms uint64) func(*Log) {
		return func(l *Log) { add(l, 9, entries(15)...); l.Reset(l.View(), at(ms), redisstream.Known{}) }
	}
	vanished := func(l *Log) { add(l, 9, entries(15)...); l.Vanish(l.View()) }
	for name, c := range map[string]struct {
		before  func(*Log)
		pos     ID
		page    Page // UpTo, Entries and Last are those of 20 and 21
		meets   func(*Log)
		want    string
		wantPos ID
	}{
		"what follows":                  {never, at(5), Page{Resumed: at(5)}, never, "20 21", at(21)},
		"trimmed":                       {never, at(5), Page{Resumed: at(20).Prev(), GapReason: metrics.GapTrimmed}, never, "gap(5,19-MAX trimmed) 20 21", at(21)},
		"another stream":                {never, at(5), Page{Resumed: at(20).Prev(), GapReason: metrics.GapReset}, never, "gap(5,19-MAX reset) 20 21", at(21)},
		"another stream, known":         {resetTo(12), at(14), Page{Resumed: at(20).Prev(), GapReason: metrics.GapReset}, never, "gap(14,12 reset)", at(12)},
		"beyond the end":                {resetTo(12), at(50), Page{Resumed: at(21), GapReason: metrics.GapReset}, never, "gap(50,12 reset)", at(12)},
		"trimmed after a reset":         {resetTo(12), at(14), Page{Resumed: at(20).Prev(), GapReason: metrics.GapTrimmed}, never, "gap(14,19-MAX trimmed) 20 21", at(21)},
		"the end of one that vanished":  {vanished, at(15), Page{Resumed: at(20).Prev(), GapReason: metrics.GapReset}, never, "20 21", at(21)},
		"its end, and trimmed since":    {vanished, at(15), Page{Resumed: at(20).Prev(), GapReason: metrics.GapTrimmed}, never, "gap(15,19-MAX trimmed) 20 21", at(21)},
		"another than it":               {vanished, at(16), Page{Resumed: at(20).Prev(), GapReason: metrics.GapReset}, never, "gap(16,15 reset)", at(15)},
		"reset while the page was read": {never, at(5), Page{Resumed: at(5)}, func(l *Log) { l.Reset(l.View(), at(21), redisstream.Known{}) }, "", at(5)},
		"gone while the page was read":  {never, at(5), Page{Resumed: at(5)}, func(l *Log) { l.Vanish(l.View()) }, "", at(5)},
		"more while the page was read":  {never, at(5), Page{Resumed: at(5)}, func(l *Log) { add(l, 1, entries(22, 23)...) }, "20 21", at(21)},
	} {
		l := newLog(at(10))
		c.before(l)
		add(l, 1, entries(20, 21)...)
		cur := Cursor{pos: c.pos, epoch: l.View().Epoch(), check: true}
		p := c.page
		p.Entries, p.UpTo, p.Last, p.Next = entries(20, 21), at(21), at(21), 1<<20
		if !l.View().Accept(&p) {
			t.Errorf("%s: not accepted", name)
			continue
		}
		c.meets(l)
		b, stale := l.Place(&cur, &p)
		if got := show(b); stale || got != c.want || cur.Pos() != c.wantPos || cur.Hint != 1<<16-1 || cur.check != (b.Gap == nil && b.Entries == nil) {
			t.Errorf("%s: got %q, %v, now %+v, want %q, %s", name, got, stale, cur, c.want, c.wantPos)
		}
	}
}

func show(b Batch) (s string) {
	if b.Gap != nil {
		s = fmt.Sprintf("gap(%s,%s %s)", short(b.Gap.After), short(b.Gap.Resumed), b.Gap.Reason)
	}
	for _, e := range b.Entries {
		if s != "" {
			s += " "
		}
		s += short(e.ID)
	}
	return s
}

// TestPlaceWaitsForTheTail: a page that no view has accepted moves no cursor.
func TestPlaceWaitsForTheTail(t *testing.T) {
	t.Parallel()
	l := newLog(at(20))
	cur := l.At(at(5))
	p := &Page{Resumed: at(5), Entries: entries(6), UpTo: at(6), Last: at(6)}
	if l.View().Accept(p) {
		t.Fatal("accepted")
	}
	before := cur
	if b, stale := l.Place(&cur, p); !stale || b.Gap != nil || b.Entries != nil || cur != before {
		t.Errorf("%+v, %v, now %+v", b, stale, cur)
	}
}

// TestPageOfAStreamThatIsGone takes a client from a future position to the head:
// a page that has nothing must not leave it where it has to be read again.
func TestPageOfAStreamThatIsGone(t *testing.T) {
	t.Parallel()
	l := newLog(at(20))
	l.Vanish(l.View())
	for _, pos := range []ID{at(25), at(25).Prev()} {
		cur := l.At(pos)
		if got := read(l, &cur); got != "behind" {
			t.Errorf("at %s: %q", pos, got)
		}
		p := &Page{Resumed: ID{}, GapReason: metrics.GapReset} // what Redis has of it
		if !l.View().Accept(p) {
			t.Fatal("not accepted")
		}
		b, stale := l.Place(&cur, p)
		if got, want := show(b), fmt.Sprintf("gap(%s,20 reset)", short(pos)); got != want || stale || !l.Idle(&cur) {
			t.Errorf("at %s: got %q, %v, now %+v, want %q", pos, got, stale, cur, want)
		}
	}
}
