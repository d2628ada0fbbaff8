package eventlog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

func testMetrics() *metrics.Store {
	return &metrics.New(prometheus.NewRegistry(), metrics.Build{}).Store
}

// naiveBudget has the sizes of the entries of logs, from the least to the most
// recently used log.
type naiveBudget struct {
	order []*Log
	sizes map[*Log][]int
}

func (n *naiveBudget) use(l *Log) {
	n.order = append(slices.DeleteFunc(n.order, func(o *Log) bool { return o == l }), l)
}

func (n *naiveBudget) append(l *Log, size, maxEvents, maxBytes int) {
	n.use(l)
	n.sizes[l] = append(slices.Clone(n.sizes[l]), size)
	n.sizes[l] = n.sizes[l][max(0, len(n.sizes[l])-maxEvents):]
	for i := 0; n.sum() > maxBytes; {
		if s := n.sizes[n.order[i]]; len(s) > 0 {
			n.sizes[n.order[i]] = s[(len(s)+1)/2:]
		} else {
			i++
		}
	}
}

func (n *naiveBudget) sum() (sum int) {
	for _, sizes := range n.sizes {
		for _, s := range sizes {
			sum += s
		}
	}
	return sum
}

// TestBudgetModel keeps the sum over random logs below the budget, and takes
// from those that were not used for longest.
func TestBudgetModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		b := NewBudget(20_000, 50, testMetrics())
		newLog := func() *Log { return New(b, "c", redisstream.Known{}, false) }
		var logs []*Log
		m := &naiveBudget{sizes: map[*Log][]int{}}
		for range 10 {
			logs = append(logs, newLog())
		}
		for step := range 400 {
			l := logs[rng.IntN(len(logs))]
			switch rng.IntN(10) {
			case 0:
				listed := l.element != nil
				if l.Touch(); listed {
					m.use(l)
				} else if l.element != nil {
					t.Fatalf("seed %d step %d: a log without entries is in the list", seed, step)
				}
			case 1:
				l.Close()
				m.order = slices.DeleteFunc(m.order, func(o *Log) bool { return o == l })
				delete(m.sizes, l)
				logs[slices.Index(logs, l)] = newLog()
			default:
				e := testEntry(l.View().Head().Next(), rng.IntN(6000))
				add(l, 50, e)
				m.append(l, e.size(), 50, b.maxBytes)
			}
			checkBudget(t, b, logs, m, fmt.Sprintf("seed %d step %d", seed, step))
		}
	}
}

func checkBudget(t *testing.T, b *Budget, logs []*Log, m *naiveBudget, when string) {
	t.Helper()
	bytes, events := 0, 0
	for _, l := range logs {
		bytes += l.View().Bytes()
		events += l.View().Len()
		if got := l.View().Len(); got != len(m.sizes[l]) {
			t.Fatalf("%s: a log has %d entries, want %d", when, got, len(m.sizes[l]))
		}
	}
	if b.bytes != bytes || b.events != events || b.bytes > b.maxBytes {
		t.Fatalf("%s: the budget says %d bytes, %d events; they are %d and %d of %d", when, b.bytes, b.events, bytes, events, b.maxBytes)
	}
	var listed []*Log
	for e := b.logs.Back(); e != nil; e = e.Prev() {
		listed = append(listed, e.Value.(*Log))
	}
	// Those that have been emptied may have left the list.
	want := slices.DeleteFunc(slices.Clone(m.order), func(l *Log) bool { return l.element == nil })
	if !slices.Equal(listed, want) {
		t.Fatalf("%s: the list is %p, want %p", when, listed, want)
	}
}

// TestBudgetKeepsWhoIsUsed has a log get entries while others take its memory
// away: whoever has entries is in the list, and the sums are those of the logs.
func TestBudgetKeepsWhoIsUsed(t *testing.T) {
	t.Parallel()
	b := NewBudget(1000, 50, testMetrics())
	var logs []*Log
	for range 3 {
		logs = append(logs, New(b, "c", redisstream.Known{}, false))
	}
	var wg sync.WaitGroup
	for _, l := range logs {
		wg.Go(func() {
			for range 500 {
				add(l, 50, testEntry(l.View().Head().Next(), 200))
			}
		})
	}
	wg.Wait()
	bytes := 0
	for _, l := range logs {
		if bytes += l.View().Bytes(); l.View().Len() > 0 && l.element == nil {
			t.Error("a log with an entry is not in the list")
		}
	}
	if b.bytes != bytes || bytes > b.maxBytes {
		t.Errorf("the budget says %d bytes, the logs have %d", b.bytes, bytes)
	}
}

func TestBudgetReports(t *testing.T) {
	t.Parallel()
	m := testMetrics()
	b := NewBudget(1000, 9, m)
	l, other := New(b, "c", redisstream.Known{}, false), New(b, "c", redisstream.Known{}, false)
	add(l, 1, entries(1, 2, 3)...)
	add(l, 9, testEntry(at(4), 700))
	add(other, 9, testEntry(at(1), 700))
	for name, c := range map[string]struct {
		metric prometheus.Metric
		want   float64
	}{
		"bytes":                   {m.WindowBytes, 700 + entryOverhead},
		"events":                  {m.WindowEvents, 1},
		"evictions for maxEvents": {m.WindowEvictions.WithLabelValues("events"), 2},
		"evictions for memory":    {m.WindowEvictions.WithLabelValues("memory"), 2},
	} {
		var d dto.Metric
		if err := c.metric.Write(&d); err != nil {
			t.Fatal(err)
		}
		if got := d.GetCounter().GetValue() + d.GetGauge().GetValue(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
