package metrics

import (
	"sort"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Latency is a histogram of durations that takes many equal observations at
// the cost of one: a broadcast is one event and thousands of deliveries. Its
// methods may be called concurrently.
type Latency struct {
	desc   *prometheus.Desc
	bounds []float64 // seconds, ascending
	counts []atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

func (f factory) latency(name, help string, bounds []float64) *Latency {
	l := &Latency{
		desc:   prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, nil, f.labels),
		bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1),
	}
	f.reg.MustRegister(l)
	return l
}

// Observe counts n deliveries that took d each.
func (l *Latency) Observe(d time.Duration, n int) {
	l.counts[sort.SearchFloat64s(l.bounds, d.Seconds())].Add(uint64(n))
	l.sum.Add(int64(d) * int64(n))
}

// Cumulative returns the bounds in seconds, how many observations were at or
// below each, and how many there were.
func (l *Latency) Cumulative() (bounds []float64, counts []uint64, total uint64) {
	counts = make([]uint64, len(l.bounds))
	for i := range l.counts {
		total += l.counts[i].Load()
		if i < len(counts) {
			counts[i] = total
		}
	}
	return l.bounds, counts, total
}

// Describe implements prometheus.Collector.
func (l *Latency) Describe(ch chan<- *prometheus.Desc) { ch <- l.desc }

// Collect implements prometheus.Collector.
func (l *Latency) Collect(ch chan<- prometheus.Metric) {
	bounds, counts, total := l.Cumulative()
	buckets := make(map[float64]uint64, len(bounds))
	for i, b := range bounds {
		buckets[b] = counts[i]
	}
	ch <- prometheus.MustNewConstHistogram(l.desc, total, time.Duration(l.sum.Load()).Seconds(), buckets)
}
