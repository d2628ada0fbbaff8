package integrity

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"testing"
)

// gapHere stands for a gateway.gap among sequence numbers.
const gapHere = -1

func TestChannelVerdict(t *testing.T) {
	tests := []struct {
		name      string
		in        []int64
		published int64

		lost, gapped       int64
		repeated, disorder int64
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
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c Channel
			for _, seq := range tt.in {
				if seq == gapHere {
					c.Gap(Announced{})
					continue
				}
				c.Take(seq)
			}
			if c.Behind(tt.published) != (slices.Max(append(tt.in, 0)) < tt.published) {
				t.Errorf("behind %v", c.Behind(tt.published))
			}
			var v Verdict
			v.Judge(&c, tt.published, nil, func() string { return "who" })
			if v.Lost != tt.lost || v.Gapped != tt.gapped || v.Repeated != tt.repeated || v.Disorder != tt.disorder {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestPayload(t *testing.T) {
	p := Payload{Channel: 999_999, Seq: 9_999_999_999, Due: 1_900_000_000_000_000_000}
	b := AppendPayload(nil, "0123abcd", p, 100)
	if len(b) != 100 {
		t.Errorf("%d bytes", len(b))
	}
	if n := len(AppendPayload(nil, "0123abcd", p, 0)); n > MinSize {
		t.Errorf("the longest payload has %d bytes, --size allows %d", n, MinSize)
	}
	wrapped := slices.Concat([]byte(`{"data":"`), b, []byte(`"}`))
	for _, data := range [][]byte{b, wrapped} {
		if got, ok := ParsePayload(data, "0123abcd"); !ok || got != p {
			t.Errorf("%s: %+v %v", data, got, ok)
		}
	}
	for _, other := range []string{"", "hello", "sse-bench:", "sse-bench:0123abcd", "sse-bench:0123abcd:1:2:3",
		"sse-bench:ffffffff:1:2:3:", "sse-bench:0123abcd:1::3:", "sse-bench:0123abcd:1:-2:3:", "sse-bench:0123abcd:1:0:3:",
		"sse-bench:0123abcd:1:99999999999999999999:3:"} {
		if got, ok := ParsePayload([]byte(other), "0123abcd"); ok {
			t.Errorf("%q is taken for %+v", other, got)
		}
	}
}

func TestJSONPayload(t *testing.T) {
	for _, size := range []int{MinJSON, 200, 299, 300, 500, 659, 660, 2000, 10_000} {
		for _, p := range []Payload{{Channel: 0, Seq: 1, Due: 1}, {Channel: 999_999, Seq: math.MaxInt64, Due: math.MaxInt64}} {
			b := AppendJSON([]byte("before"), "0123abcd", p, size)[len("before"):]
			if len(b) != size || !json.Valid(b) {
				t.Errorf("%d bytes asked for: %d, %s", size, len(b), b)
			}
			if got, ok := ParsePayload(b, "0123abcd"); !ok || got != p {
				t.Errorf("%d bytes: got %+v, %v", size, got, ok)
			}
			if !bytes.Equal(b, AppendJSON(nil, "0123abcd", p, size)) {
				t.Error("the same event is written in two ways")
			}
		}
	}
}
