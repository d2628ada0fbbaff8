package main

import (
	"slices"
	"testing"
)

// gapHere stands for a gateway.gap among sequence numbers.
const gapHere = -1

func TestChannelVerdict(t *testing.T) {
	tests := []struct {
		name      string
		joining   bool
		exact     bool
		base      int64
		in        []int64
		published int64

		lost, gapped       int64
		repeated, disorder int32
	}{
		{name: "nothing published"},
		{name: "everything", in: []int64{1, 2, 3}, published: 3},
		{name: "nothing came", published: 3, lost: 3},
		{name: "first lost", in: []int64{2, 3}, published: 3, lost: 1},
		{name: "middle lost", in: []int64{1, 4, 5}, published: 5, lost: 2},
		{name: "end lost", in: []int64{1, 2}, published: 5, lost: 3},
		{name: "repeated", in: []int64{1, 2, 2, 1, 3}, published: 3, repeated: 2},
		{name: "late", in: []int64{1, 3, 2, 4}, published: 4, disorder: 1},
		{name: "late out of the middle", in: []int64{1, 6, 3, 5, 2, 4}, published: 6, disorder: 4},
		{name: "late and again", in: []int64{1, 3, 2, 2}, published: 3, disorder: 1, repeated: 1},
		{name: "partly late", in: []int64{1, 6, 4}, published: 6, disorder: 1, lost: 3},
		{name: "gapped", in: []int64{1, gapHere, 4}, published: 4, gapped: 2},
		{name: "gapped at the end", in: []int64{1, gapHere}, published: 4, gapped: 3},
		{name: "gapped at the start", in: []int64{gapHere, 3}, published: 3, gapped: 2},
		{name: "gap elsewhere", in: []int64{1, gapHere, 2, 4}, published: 4, lost: 1},
		{name: "gap without a hole", in: []int64{1, gapHere, 2}, published: 2},
		{name: "joins", joining: true, base: 4, in: []int64{5, 6}, published: 6},
		{name: "joins a little earlier", joining: true, base: 4, in: []int64{3, 4, 5, 6}, published: 6},
		{name: "joins and misses", joining: true, base: 4, in: []int64{7, 8}, published: 8, lost: 2},
		{name: "joins before the first", joining: true, in: []int64{2, 3}, published: 3, lost: 1},
		{name: "joins and gets nothing", joining: true, base: 4, published: 6, lost: 2},
		{name: "joins at the end", joining: true, base: 6, published: 6},
		{name: "joins at a position", joining: true, exact: true, base: 4, in: []int64{5, 6}, published: 6},
		{name: "gets what its position has", joining: true, exact: true, base: 4, in: []int64{2, 3, 4, 5, 6}, published: 6, repeated: 3},
		{name: "gets some of what its position has", joining: true, exact: true, base: 4, in: []int64{2, 4, 6}, published: 6, repeated: 2, lost: 1},
		{name: "is owed nothing before its position", joining: true, exact: true, base: 4, in: []int64{2, 7}, published: 7, repeated: 1, lost: 2},
		{name: "gets only what its position has", joining: true, exact: true, base: 4, in: []int64{3}, published: 6, repeated: 1, lost: 2},
		{name: "joins at a gap", joining: true, base: 4, in: []int64{gapHere, 7}, published: 7, gapped: 2},
		{name: "a gap later excuses nothing", joining: true, base: 4, in: []int64{7, gapHere, 8}, published: 8, lost: 2},
		{name: "joins, then an older one", joining: true, base: 4, in: []int64{5, 4, 6}, published: 6, disorder: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := channelState{}
			for _, seq := range tt.in {
				if seq == gapHere {
					c.gap(announced{})
					continue
				}
				c.take(seq, tt.joining)
			}
			c.base, c.exact = tt.base, tt.exact
			var lost, gapped int64
			for _, h := range c.finish(tt.published) {
				if len(h.gaps) > 0 {
					gapped += h.size()
				} else {
					lost += h.size()
				}
			}
			if lost != tt.lost || gapped != tt.gapped || c.repeated+int32(c.early()) != tt.repeated || c.disorder != tt.disorder {
				t.Errorf("lost %d gapped %d repeated %d disorder %d", lost, gapped, c.repeated+int32(c.early()), c.disorder)
			}
		})
	}
}

func TestScheduleSentBy(t *testing.T) {
	s := schedule{Start: 1000, Rate: 7, Channels: 3}
	want := make([]int64, 3)
	for k := range int64(100) {
		due := s.due(k)
		want[k%3]++
		// Half an event later, so that rounding to nanoseconds does not matter.
		for c := range want {
			if got := s.sentBy(c, due+70_000_000); got != want[c] {
				t.Fatalf("channel %d after event %d: %d, want %d", c, k, got, want[c])
			}
		}
	}
	if s.sentBy(0, 999) != 0 {
		t.Error("something is sent before the start")
	}
}

func TestPayload(t *testing.T) {
	p := payload{channel: 999_999, seq: 9_999_999_999, due: 1_900_000_000_000_000_000}
	b := appendPayload(nil, "0123abcd", p, 100)
	if len(b) != 100 {
		t.Errorf("%d bytes", len(b))
	}
	if n := len(appendPayload(nil, "0123abcd", p, 0)); n > minEventSize {
		t.Errorf("the longest payload has %d bytes, -size allows %d", n, minEventSize)
	}
	wrapped := slices.Concat([]byte(`{"data":"`), b, []byte(`"}`))
	for _, data := range [][]byte{b, wrapped} {
		if got, ok := parsePayload(data, "0123abcd"); !ok || got != p {
			t.Errorf("%s: %+v %v", data, got, ok)
		}
	}
	for _, other := range []string{"", "hello", "sse-bench:", "sse-bench:0123abcd", "sse-bench:0123abcd:1:2:3",
		"sse-bench:ffffffff:1:2:3:", "sse-bench:0123abcd:1::3:", "sse-bench:0123abcd:1:-2:3:", "sse-bench:0123abcd:1:0:3:",
		"sse-bench:0123abcd:1:99999999999999999999:3:"} {
		if got, ok := parsePayload([]byte(other), "0123abcd"); ok {
			t.Errorf("%q is taken for %+v", other, got)
		}
	}
}
