package deflate

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
)

// object returns a frame's body of about n bytes: JSON such as applications publish,
// with names that repeat and values that do not.
func object(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	words := []string{"pending", "shipped", "delivered", "Berlin", "Hamburg", "invoice", "EUR", "customer"}
	b := []byte("event: order\ndata: {\"orders\":[")
	for len(b) < n {
		b = fmt.Appendf(b, `{"id":%d,"status":%q,"amount":%.2f,"city":%q,"updatedAt":"2026-11-28T11:%02d:%02dZ","reference":"%x"},`,
			r.IntN(1e9), words[r.IntN(8)], r.Float64()*1000, words[r.IntN(8)], r.IntN(60), r.IntN(60), r.Uint32())
	}
	return append(b[:max(n-4, 0)], "]}\n\n"...)
}

// noise returns n bytes that no compressor can make smaller.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// unzip returns the data of a whole gzip stream.
func unzip(t *testing.T, stream []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	r.Multistream(false)
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%v, after %d bytes", err, len(data))
	}
	return data
}

// inflateAlone returns the data of a block that nothing comes before or after.
func inflateAlone(t *testing.T, block []byte) []byte {
	t.Helper()
	data, err := io.ReadAll(flate.NewReader(bytes.NewReader(append(slices.Clone(block), 0x03, 0x00))))
	if err != nil {
		t.Fatalf("a block by itself: %v", err)
	}
	return data
}

func TestBlocksReferToNothingBeforeThem(t *testing.T) {
	for _, n := range []int{1, minBody - 1, minBody, 300, 2000, 1<<16 - 1, 1 << 16, 1<<16 + 1, 300_000} {
		for name, body := range map[string][]byte{"JSON": object(n, 1), "noise": noise(n, 2), "zeros": make([]byte, n)} {
			Compress(body) // a compressor that has seen it already
			b := Compress(body)
			if len(b.Data) == 0 {
				if n >= storedCopy || name == "zeros" && n >= 300 {
					t.Errorf("%d bytes of %s have no block", n, name)
				}
				continue
			}
			if got := inflateAlone(t, b.Data); !bytes.Equal(got, body) {
				t.Errorf("%d bytes of %s: another body comes back, of %d bytes", n, name, len(got))
			}
			if b.Part.Size() != len(body) {
				t.Errorf("%d bytes of %s: the block says %d", n, name, b.Part.Size())
			}
		}
	}
}

func TestJSONBecomesSmaller(t *testing.T) {
	for n, most := range map[int]float64{300: .75, 1000: .5, 2000: .4, 10_000: .35} {
		body := object(n, 3)
		if got := float64(len(Compress(body).Data)) / float64(len(body)); got > most || got == 0 {
			t.Errorf("%d bytes of JSON become %.2f of that, want at most %.2f", n, got, most)
		}
	}
}

func TestStoredBlockOfAnyLength(t *testing.T) {
	for _, n := range []int{0, 1, maxStored - 1, maxStored, maxStored + 1, 2 * maxStored, 2*maxStored + 1, 400_000} {
		body := noise(n, 4)
		stream := AppendStored(slices.Clone(Header), body)
		if blocks := (n + maxStored - 1) / maxStored; len(stream) != len(Header)+n+blocks*StoredRoom {
			t.Errorf("%d bytes stored take %d", n, len(stream)-len(Header))
		}
		stream = AppendEnd(stream, Sum{}.Add(body))
		if got := unzip(t, stream); !bytes.Equal(got, body) {
			t.Errorf("%d bytes stored: another body comes back, of %d bytes", n, len(got))
		}
	}
}

func TestSumOfPartsIsSumOfTheWhole(t *testing.T) {
	data := noise(200_000, 5)
	whole := Sum{}.Add(data)
	for _, cut := range []int{0, 1, 7, 8, 255, 65_536, 131_071, len(data) - 1, len(data)} {
		first, second := Sum{}.Add(data[:cut]), Sum{}.Add(data[cut:])
		if got := first.Join(second.Part()); got != whole {
			t.Errorf("cut at %d: %x, want %x", cut, got, whole)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = whole.Join(whole.Part()) }); n > 0 {
		t.Errorf("Join allocates %v times", n)
	}
}

// A client reads each event before the next is there, with the most reluctant of
// decompressors.
func TestReaderHasAllAfterAFlush(t *testing.T) {
	in, out := io.Pipe()
	defer in.Close()
	wrote := make(chan error, 1)
	write := func(p []byte) { go func() { _, err := out.Write(p); wrote <- err }() }
	write(Header)
	r, err := gzip.NewReader(bufio.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	<-wrote
	for i, body := range [][]byte{object(40, 1), object(2000, 2), []byte(":\n"), noise(storedCopy, 3), object(100_000, 4)} {
		piece := Compress(body).Data
		if len(piece) == 0 {
			piece = AppendFlush(AppendStored(nil, body))
		}
		write(piece)
		got := make([]byte, len(body))
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("piece %d: %v", i, err)
		}
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkCompress tells what a level costs and saves. The ratio is of plain bytes to
// those of the block.
func BenchmarkCompress(b *testing.B) {
	for _, n := range []int{100, 150, 200, 300, 1000, 2000, 3000, 10_000} {
		bodies := make([][]byte, 32)
		for i := range bodies {
			bodies[i] = object(n, uint64(i))
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			plain, packed := 0, 0
			for i := 0; b.Loop(); i++ {
				body := bodies[i%len(bodies)]
				block := Compress(body)
				if plain += len(body); len(block.Data) > 0 {
					packed += len(block.Data)
				} else {
					packed += len(body)
				}
			}
			b.ReportMetric(float64(plain)/float64(packed), "ratio")
		})
	}
}

func BenchmarkJoin(b *testing.B) {
	part := Sum{}.Add(object(2000, 1)).Part()
	var s Sum
	for b.Loop() {
		s = s.Join(part)
	}
	_ = s
}

func BenchmarkCacheHit(b *testing.B) {
	cache, body := NewCache(1<<20), object(2000, 1)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			cache.Block(body)
		}
	})
}
