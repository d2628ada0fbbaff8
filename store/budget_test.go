package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sse-gateway/sse-gateway/metrics"
)

func testMetrics() *metrics.Store {
	return &metrics.New(prometheus.NewRegistry(), metrics.Build{}).Store
}

// naiveBudget has the sizes of the entries of windows, from the least to the
// most recently used window.
type naiveBudget struct {
	order []*window
	sizes map[*window][]int
}

func (n *naiveBudget) use(w *window) {
	n.order = append(slices.DeleteFunc(n.order, func(o *window) bool { return o == w }), w)
}

func (n *naiveBudget) append(w *window, size, maxEvents, maxBytes int) {
	n.use(w)
	n.sizes[w] = append(slices.Clone(n.sizes[w]), size)
	n.sizes[w] = n.sizes[w][max(0, len(n.sizes[w])-maxEvents):]
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

// TestBudgetModel keeps the sum over random windows below the budget, and takes
// from those that were not used for longest.
func TestBudgetModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 2))
		b := budget{max: 20_000, metrics: testMetrics()}
		var ws []*window
		m := &naiveBudget{sizes: map[*window][]int{}}
		for range 10 {
			ws = append(ws, newWindow(ID{}))
		}
		for step := range 400 {
			w := ws[rng.IntN(len(ws))]
			switch rng.IntN(10) {
			case 0:
				if b.touch(w); w.listed {
					m.use(w)
				}
			case 1:
				forgetWindow(&b, w)
				m.order = slices.DeleteFunc(m.order, func(o *window) bool { return o == w })
				delete(m.sizes, w)
				ws[slices.Index(ws, w)] = newWindow(ID{})
			default:
				e := testEntry(w.view.Load().head.Next(), rng.IntN(6000))
				w.mu.Lock()
				c := w.append([]Entry{e}, 50)
				w.mu.Unlock()
				b.account(w, c)
				m.append(w, e.size(), 50, b.max)
			}
			checkBudget(t, &b, ws, m, fmt.Sprintf("seed %d step %d", seed, step))
		}
	}
}

func forgetWindow(b *budget, w *window) {
	b.forget(w, w.close())
	b.account(w, change{events: 1}) // as an append that was under way
	b.account(w, change{events: -1})
}

func checkBudget(t *testing.T, b *budget, ws []*window, m *naiveBudget, when string) {
	t.Helper()
	bytes, events := 0, 0
	for _, w := range ws {
		bytes += w.held()
		events += len(w.view.Load().entries)
		if got := len(w.view.Load().entries); got != len(m.sizes[w]) {
			t.Fatalf("%s: a window has %d entries, want %d", when, got, len(m.sizes[w]))
		}
	}
	if b.bytes != bytes || b.events != events || b.bytes > b.max {
		t.Fatalf("%s: the budget says %d bytes, %d events; they are %d and %d of %d", when, b.bytes, b.events, bytes, events, b.max)
	}
	var listed []*window
	for w := b.oldest; w != nil; w = w.newer {
		listed = append(listed, w)
	}
	// Those that have been emptied may have left the list.
	want := slices.DeleteFunc(slices.Clone(m.order), func(w *window) bool { return !w.listed })
	if !slices.Equal(listed, want) {
		t.Fatalf("%s: the list is %p, want %p", when, listed, want)
	}
}

// TestBudgetKeepsWhoIsUsed gives a window an entry just after it was found empty.
func TestBudgetKeepsWhoIsUsed(t *testing.T) {
	t.Parallel()
	b := budget{max: 1000, metrics: testMetrics()}
	w := newWindow(ID{})
	add := func() {
		w.mu.Lock()
		c := w.append([]Entry{testEntry(w.view.Load().head.Next(), 100)}, 50)
		w.mu.Unlock()
		b.account(w, c)
	}
	add()
	b.took(w, w.shrink())
	nothing := w.shrink()
	add()
	if b.took(w, nothing); b.oldest != w {
		t.Error("a window with an entry is not in the list")
	}
	b.took(w, w.shrink())
	if b.took(w, w.shrink()); b.oldest != nil || b.bytes != 0 {
		t.Errorf("a window without any is in the list, with %d bytes", b.bytes)
	}
}
