package store

import (
	"fmt"
	"testing"
)

// BenchmarkFanOut appends one event and has every cursor take it: one op is
// one event for all cursors.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint("cursors=", n), func(b *testing.B) {
			w := newWindow(ID{1, 0})
			sub := &Subscription{w: w}
			cs := make([]Cursor, n)
			for i := range cs {
				cs[i] = sub.Now()
			}
			e := []Entry{testEntry(ID{1, 0}, 100)}
			b.ReportAllocs()
			for b.Loop() {
				e[0].ID.Seq++
				w.append(e, 256)
				for i := range cs {
					if batch, _ := cs[i].Next(64 << 10); len(batch.Entries) != 1 {
						b.Fatal("no event")
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/cursor")
		})
	}
}

func BenchmarkWindowAppend(b *testing.B) {
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprint("entries=", batch), func(b *testing.B) {
			w := newWindow(ID{1, 0})
			es := make([]Entry, batch)
			frame := make([]byte, 100)
			id := ID{1, 0}
			b.ReportAllocs()
			for b.Loop() {
				for i := range es {
					id = id.Next()
					es[i] = Entry{ID: id, Frame: frame}
				}
				w.append(es, 256)
			}
		})
	}
}

// BenchmarkWindowRead reads a window of 256 entries from a random position in
// the middle to its end.
func BenchmarkWindowRead(b *testing.B) {
	w := newWindow(ID{1, 0})
	for i := range uint64(256) {
		w.append([]Entry{testEntry(ID{2, i}, 100)}, 256)
	}
	sub := &Subscription{w: w}
	c := sub.Now()
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		c.pos = ID{2, i % 255}
		if batch, _ := c.Next(64 << 10); len(batch.Entries) == 0 {
			b.Fatal("nothing")
		}
	}
}
