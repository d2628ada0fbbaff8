package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestFollow(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	old := srv.XAdd("sse:a", "data", "old")
	s := openHealthy(t, srv.URL(), nil)
	r := s.subscribe(t, "a")
	empty := s.subscribe(t, "empty")
	if r.cur.Pos() != mustID(t, old) || !empty.cur.Pos().IsZero() {
		t.Errorf("now is %s and %s", r.cur.Pos(), empty.cur.Pos())
	}
	var want []string
	for i := range 50 {
		id := srv.XAdd("sse:a", "data", fmt.Sprint(i))
		want = append(want, fmt.Sprintf("%s %d", id, i))
		r.awaitID(id)
	}
	if got := r.texts(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	id := srv.XAdd("sse:empty", "data", "first")
	empty.awaitID(id)
	if got := empty.texts(); !slices.Equal(got, []string{id + " first"}) {
		t.Errorf("got %v", got)
	}
	if s.sweepFinds() != 0 || s.sessions() != 1 {
		t.Errorf("%d finds of the sweep, %d sessions", s.sweepFinds(), s.sessions())
	}
}

// TestDroppedNamesAreCountedOnce where the entry is encoded twice: the first one
// of a stream proves nothing about what was before it, so it is read again with
// a look at the stream.
func TestDroppedNamesAreCountedOnce(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), nil)
	r := s.subscribe(t, "a")
	settle(t, s, "a")
	for want := 1; want <= 3; want++ {
		r.awaitID(srv.XAdd("sse:a", "event", "bad", "data", "x"))
		if n := value(s.m.Store.EventNamesDropped); n != float64(want) {
			t.Fatalf("%v names are counted, want %d", n, want)
		}
	}
	// From history they are read again, once for all who share the read.
	s.empty("a")
	if r.at(ID{}).drain(); len(r.got) != 3 {
		t.Fatalf("history has %v", r.got)
	}
	read := value(s.m.Store.EventsRead.WithLabelValues(metrics.SourceHistory))
	if n := value(s.m.Store.EventNamesDropped); read == 0 || n != 3+read {
		t.Errorf("%v names are counted, want %v: 3 of the tail and those that history read", n, 3+read)
	}
}
