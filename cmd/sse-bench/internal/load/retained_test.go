package load

import (
	"slices"
	"testing"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// A stream of several pages, with entries of others in it, and one that has lost
// its beginning.
func TestRetained(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	s, err := newRedisSink(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.run, s.size, s.data, s.keys = "0123abcd", 100, (&Options{Size: 100}).payload("0123abcd"), []string{"k"}
	p := newPublisher(s, 1, 1, make([]int64, 1))
	p.ids = make([]integrity.IDLog, 1)
	var batch []integrity.Payload
	for seq := range int64(2*retainedPage + 7) {
		batch = append(batch, integrity.Payload{Seq: seq + 1})
	}
	r.XAdd("k", "data", "before")
	if err := s.send(t.Context(), batch, p.accepted); err != nil {
		t.Fatal(err)
	}
	r.XAdd("k", "other", "x")
	read := func() []integrity.Span {
		t.Helper()
		numbers, err := s.retained(0, p.ids[0])
		if err != nil {
			t.Fatal(err)
		}
		return numbers
	}
	if got := read(); !slices.Equal(got, []integrity.Span{{From: 1, To: 2007}}) {
		t.Errorf("whole: %v", got)
	}
	r.Do("XDEL", "k", p.ids[0][1233].ID.String())
	r.Do("XTRIM", "k", "MAXLEN", "1500")
	if got := read(); !slices.Equal(got, []integrity.Span{{From: 508, To: 1233}, {From: 1235, To: 2007}}) {
		t.Errorf("trimmed: %v", got)
	}
	r.Do("DEL", "k")
	if got := read(); got != nil {
		t.Errorf("gone: %v", got)
	}
}
