package report

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestHistogramIsWithinOnePercent(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	values := make([]int64, 20_000)
	for i := range values {
		values[i] = int64(math.Exp(rng.NormFloat64()*2 + 13))
		h.Add(values[i])
	}
	slices.Sort(values)
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999, 1} {
		want := float64(values[int(math.Ceil(q*float64(len(values))))-1])
		if got := float64(h.Quantile(q)); math.Abs(got-want) > want/100+1 {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
}

func TestHistogramEdges(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Count() != 0 {
		t.Error("an empty histogram has values")
	}
	h.Add(-5)
	h.Add(math.MaxInt64)
	if h.Quantile(0.1) != 0 || h.Quantile(1) < int64(longest) || h.Count() != 2 {
		t.Errorf("%d %d %d", h.Quantile(0.1), h.Quantile(1), h.Count())
	}
}

func TestHistogramTravels(t *testing.T) {
	var a, b, both Histogram
	for i := range int64(1000) {
		a.Add(i * 1000)
		b.Add(i * i)
		both.Add(i * 1000)
		both.Add(i * i)
	}
	for _, h := range []*Histogram{{}, &b} {
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var read Histogram
		if err := json.Unmarshal(text, &read); err != nil || read.Count() != h.Count() {
			t.Fatalf("%s: %d values, %v", text, read.Count(), err)
		}
		a.Merge(&read)
	}
	if !a.h.Equals(both.h) {
		t.Error("merged differs from counted together")
	}
	for _, bad := range []string{`"x"`, `[`} {
		if err := json.Unmarshal([]byte(bad), &Histogram{}); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
