package metrics

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func newTestLatency(t testing.TB) (*Latency, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	return factory{reg: reg}.latency("test_seconds", "help", latencyBuckets), reg
}

// gathered returns the one histogram of a registry.
func gathered(t testing.TB, reg *prometheus.Registry) *dto.Histogram {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) != 1 || len(families[0].Metric) != 1 {
		t.Fatalf("gathered %v, want one series", families)
	}
	return families[0].Metric[0].GetHistogram()
}

// A Latency shows what a Prometheus histogram shows that was given each
// observation by itself.
func TestLatencyIsAHistogram(t *testing.T) {
	l, reg := newTestLatency(t)
	other := prometheus.NewRegistry()
	want := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "want", Buckets: latencyBuckets})
	other.MustRegister(want)
	observe := func(d time.Duration, n int) {
		l.Observe(d, n)
		for range n {
			want.Observe(d.Seconds())
		}
	}
	for _, bound := range latencyBuckets { // a bound belongs to its bucket
		d := time.Duration(math.Round(bound * float64(time.Second)))
		observe(d, 1)
		observe(d+1, 2)
		observe(d-1, 3)
	}
	observe(0, 1)
	observe(time.Hour, 5)
	observe(time.Second, 0)
	for range 1000 {
		observe(time.Duration(rand.Int64N(int64(100*time.Second)))>>rand.IntN(20), rand.IntN(50))
	}
	g, w := gathered(t, reg), gathered(t, other)
	if g.GetSampleCount() != w.GetSampleCount() || math.Abs(g.GetSampleSum()/w.GetSampleSum()-1) > 1e-9 {
		t.Errorf("got %d observations with the sum %v, want %d with %v", g.GetSampleCount(), g.GetSampleSum(), w.GetSampleCount(), w.GetSampleSum())
	}
	if len(g.Bucket) != len(w.Bucket) {
		t.Fatalf("%d buckets, want %d", len(g.Bucket), len(w.Bucket))
	}
	bounds, counts, total := l.Cumulative()
	if total != w.GetSampleCount() {
		t.Errorf("Cumulative: %d observations, want %d", total, w.GetSampleCount())
	}
	for i, b := range w.Bucket {
		if g.Bucket[i].GetUpperBound() != b.GetUpperBound() || g.Bucket[i].GetCumulativeCount() != b.GetCumulativeCount() {
			t.Errorf("bucket %d is %v, want %v", i, g.Bucket[i], b)
		}
		if bounds[i] != b.GetUpperBound() || counts[i] != b.GetCumulativeCount() {
			t.Errorf("Cumulative: bucket %d is %v: %d, want %v", i, bounds[i], counts[i], b)
		}
	}
}

// Observations and scrapes at once lose nothing, and no scrape sees a
// histogram that is not one.
func TestLatencyConcurrently(t *testing.T) {
	l, reg := newTestLatency(t)
	const goroutines, each = 4, 5000
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for i := range each {
				l.Observe(time.Duration(i)*time.Millisecond, 2)
			}
		})
	}
	for last := uint64(0); last < goroutines*each*2; {
		h := gathered(t, reg)
		n := uint64(0)
		for _, b := range h.Bucket {
			if b.GetCumulativeCount() < n {
				t.Fatalf("the buckets are not ascending: %v", h)
			}
			n = b.GetCumulativeCount()
		}
		if h.GetSampleCount() < n || h.GetSampleCount() < last {
			t.Fatalf("%d observations, less than before (%d) or than in a bucket (%d)", h.GetSampleCount(), last, n)
		}
		last = h.GetSampleCount()
	}
	wg.Wait()
	if h := gathered(t, reg); h.GetSampleCount() != goroutines*each*2 {
		t.Errorf("%d observations, want %d", h.GetSampleCount(), goroutines*each*2)
	}
}

func TestLatencyObserveAllocatesNothing(t *testing.T) {
	l, _ := newTestLatency(t)
	if n := testing.AllocsPerRun(1000, func() { l.Observe(3*time.Millisecond, 9000) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLatencyObserve(b *testing.B) {
	l, _ := newTestLatency(b)
	b.ReportAllocs()
	for b.Loop() {
		l.Observe(3*time.Millisecond, 9000)
	}
}
