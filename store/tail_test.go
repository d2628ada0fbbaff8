package store

import (
	"fmt"
	"slices"
	"testing"

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
