package main

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestHistogramBucketsAreWithinOnePercent(t *testing.T) {
	last := -1
	for v := int64(0); v < int64(2*time.Hour); v += 1 + v/100 {
		i := bucketOf(v)
		if i < last || i >= histogramBuckets {
			t.Fatalf("bucket %d of %d after %d", i, v, last)
		}
		last = i
		if off := math.Abs(float64(bucketMiddle(i) - v)); off > float64(v)/100 {
			t.Fatalf("%d is counted as %d", v, bucketMiddle(i))
		}
	}
}

func TestHistogramQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h histogram
	values := make([]int64, 20_000)
	for i := range values {
		values[i] = int64(math.Exp(rng.NormFloat64()*2 + 13))
		h.add(values[i])
	}
	slices.Sort(values)
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
		want := float64(values[max(int(math.Ceil(q*float64(len(values)))), 1)-1])
		if got := float64(h.quantile(q)); math.Abs(got-want) > want/100+1 {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
	if h.max != values[len(values)-1] {
		t.Errorf("max %d, want %d", h.max, values[len(values)-1])
	}
}

func TestHistogramEdges(t *testing.T) {
	var h histogram
	if h.quantile(0.5) != 0 || h.mean() != 0 {
		t.Error("an empty histogram has values")
	}
	h.add(-5)
	h.add(math.MaxInt64)
	if h.quantile(0) != 0 || h.max != math.MaxInt64 || h.count != 2 {
		t.Errorf("%d %d %d", h.quantile(0), h.max, h.count)
	}
}

func TestHistogramMergeThroughJSON(t *testing.T) {
	var a, b, both histogram
	for i := range int64(1000) {
		a.add(i * 1000)
		b.add(i * i)
		both.add(i * 1000)
		both.add(i * i)
	}
	text, err := json.Marshal(&b)
	if err != nil {
		t.Fatal(err)
	}
	var read histogram
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	a.merge(&read)
	if a.count != both.count || a.max != both.max || a.sum != both.sum || !slices.Equal(a.counts, both.counts) {
		t.Error("merged differs from counted together")
	}
	for _, bad := range []string{`{"pairs":[[999999,1]]}`, `[`} {
		if err := json.Unmarshal([]byte(bad), &read); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestLiveHistogram(t *testing.T) {
	var all, catchUp histogram
	for i := range int64(100) {
		all.add(1000 + i)
	}
	all.add(int64(time.Second))
	catchUp.add(int64(time.Second))
	live := liveHistogram(&all, &catchUp)
	if live.count != 100 || live.max > 1110 || live.quantile(1) > 1110 {
		t.Errorf("count %d, max %d", live.count, live.max)
	}
}
