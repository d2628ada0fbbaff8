package eventlog

import (
	"fmt"
	"testing"
)

// BenchmarkFanOut appends one event and has every cursor take it: one op is
// one event for all cursors.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint("cursors=", n), func(b *testing.B) {
			l := newLog(at(1))
			cs := make([]Cursor, n)
			for i := range cs {
				cs[i] = l.Now()
			}
			e := []Entry{testEntry(at(1), 100)}
			b.ReportAllocs()
			for b.Loop() {
				e[0].ID.Seq++
				add(l, 256, e...)
				for i := range cs {
					if batch, _ := l.Next(&cs[i], 64<<10); len(batch.Entries) != 1 {
						b.Fatal("no event")
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/cursor")
		})
	}
}

func BenchmarkLogAppend(b *testing.B) {
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprint("entries=", batch), func(b *testing.B) {
			l := newLog(at(1))
			es := make([]Entry, batch)
			frame := make([]byte, 100)
			id := at(1)
			b.ReportAllocs()
			for b.Loop() {
				for i := range es {
					id = id.Next()
					es[i] = Entry{ID: id, Frame: frame}
				}
				add(l, 256, es...)
			}
		})
	}
}

// BenchmarkLogRead reads a log of 256 entries from a random position in
// the middle to its end.
func BenchmarkLogRead(b *testing.B) {
	l := newLog(at(1))
	for i := range uint64(256) {
		add(l, 256, testEntry(ID{Ms: 2, Seq: i}, 100))
	}
	c := l.Now()
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		c.pos = ID{Ms: 2, Seq: i % 255}
		if batch, _ := l.Next(&c, 64<<10); len(batch.Entries) == 0 {
			b.Fatal("nothing")
		}
	}
}
