package redisstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/resp"
)

// randomEntries makes entries, of which some are large, some too large, and some
// of nothing but empty fields.
func randomEntries(rng *rand.Rand, maxEntry int) (es []Entry) {
	large := rng.IntN(4) == 0
	for i := range rng.IntN(60) {
		e := Entry{ID: ID{1000, uint64(i + 1)}}
		n, size := 2*rng.IntN(3), rng.IntN(300)
		switch k := rng.IntN(100); {
		case k < 10:
			size = rng.IntN(2 * maxEntry)
		case k == 10:
			n, size = 2*rng.IntN(10_000), 0
		case large:
			size = rng.IntN(maxEntry)
		}
		for range n {
			e.Fields = append(e.Fields, make([]byte, size/max(n, 1)))
			e.Size += size / max(n, 1)
		}
		es = append(es, e)
	}
	return es
}

// Of the entries of a reply those are handed on that fit, at least one of them,
// and the ids of those that are too large ever to fit; from the first one on
// that does not fit, none.
func TestEntryReaderKeepsWhatFits(t *testing.T) {
	t.Parallel()
	for seed := range uint64(25) {
		rng := rand.New(rand.NewPCG(seed, 4))
		maxEntry := 1 + rng.IntN(1+rng.IntN(50_000))
		room := 1 + rng.IntN(2*replyBytes)
		var got []Entry
		r := &EntryReader{MaxEntry: maxEntry, Each: func(e Entry) { got = append(got, clone(e)) }}
		if rng.IntN(4) > 0 {
			r.Room = &room
		}
		for reply := range 3 { // they share the room
			es := randomEntries(rng, maxEntry)
			before := room
			got = nil
			r.Anchor = ID{}
			if len(es) > 0 && rng.IntN(2) == 0 {
				r.Anchor = es[rng.IntN(len(es))].ID
			}
			readInPieces(t, rng, entriesText(es), r.Read)
			where := fmt.Sprintf("seed %d, reply %d", seed, reply)
			checkKept(t, where, r, got, es, before)
			if r.Room != nil && before-room > max(0, before+replyBytes+2*maxEntry) {
				t.Fatalf("%s: %d of the room of %d", where, before-room, before)
			}
			if cap(r.arena) > 4*(maxEntry+64) {
				t.Fatalf("%s: a buffer of %d bytes for entries of %d", where, cap(r.arena), maxEntry)
			}
		}
	}
}

// checkKept compares what a reader has handed on of entries with the rules.
func checkKept(t *testing.T, where string, r *EntryReader, got, es []Entry, room int) {
	t.Helper()
	if r.Room == nil {
		room = replyBytes
	}
	i, kept, bytesOf, found, cut := 0, 0, 0, false, false
	for _, e := range es {
		bytesOf += e.Size
		wire := len(fieldsText(e))
		tooLarge := e.Size > r.MaxEntry || wire > replyBytes+2*r.MaxEntry
		switch {
		case e.ID == r.Anchor:
			found = true
			continue
		case cut:
			continue
		case !tooLarge && (room-kept <= 0 || kept > 0 && (kept+wire > replyBytes || wire > room-kept)):
			cut = true
			continue
		}
		if i >= len(got) {
			t.Fatalf("%s: entry %s is not there, after %d bytes of %d", where, e.ID, kept, room)
		}
		if g := got[i]; g.ID != e.ID || g.Size != e.Size || g.TooLarge != tooLarge {
			t.Fatalf("%s: %s, %d bytes, %v; want %s, %d bytes, %v", where, g.ID, g.Size, g.TooLarge, e.ID, e.Size, tooLarge)
		} else if tooLarge && g.Fields != nil || !tooLarge && !slices.EqualFunc(g.Fields, e.Fields, bytes.Equal) {
			t.Fatalf("%s: entry %s has %d other fields", where, e.ID, len(g.Fields))
		}
		if i++; !tooLarge {
			kept += wire
		}
	}
	if i != len(got) || r.Cut != cut || r.Found != found || r.Seen != len(es) || r.Bytes != bytesOf {
		t.Fatalf("%s: %d entries, want %d; cut %v, want %v; found %v, want %v; seen %d, want %d; %d bytes, want %d",
			where, len(got), i, r.Cut, cut, r.Found, found, r.Seen, len(es), r.Bytes, bytesOf)
	}
	if r.Room != nil && room-kept != *r.Room {
		t.Fatalf("%s: the room is %d, want %d", where, *r.Room, room-kept)
	}
}

// Without limits only the ids are of interest.
func TestEntryReaderOfIDs(t *testing.T) {
	t.Parallel()
	var got []Entry
	r := &EntryReader{Each: func(e Entry) { got = append(got, e) }}
	es := []Entry{entry(ID{1, 1}, "a", "b"), entry(ID{1, 2}, "a", strings.Repeat("x", 1<<20))}
	if err := read(entriesText(es), r.Read); err != nil || len(got) != 2 || got[1].Fields != nil || got[1].Size != 1<<20+1 || got[1].TooLarge || got[0].ID != es[0].ID {
		t.Errorf("%v, %v", err, got)
	}
	if r.Seen != 2 || r.Bytes != 3+1<<20 || r.Cut || r.Found || r.arena != nil {
		t.Errorf("%+v", r)
	}
}

// What a server sends is not always what is expected.
func TestEntryReaderReplies(t *testing.T) {
	t.Parallel()
	one := entryText(entry(ID{1, 1}, "a", "b"))
	for in, want := range map[string]string{
		array():    "",
		array(one): "1-1 a b",
		// RESP3 has other kinds of the same.
		"~1\r\n" + one: "1-1 a b",
		array(array(str("1-1"), "%1\r\n"+str("a")+str("b"))): "1-1 a b",
		array(array("+1-1\r\n", array("+a\r\n", ":12\r\n"))): "1-1 a 12",
		array(array(str("1-1"), array(str(""), str("")))):    "1-1  ",
		array(array(str("1-1"), array())):                    "1-1",
	} {
		var got []string
		r := &EntryReader{MaxEntry: 100, Each: func(e Entry) {
			got = append(got, strings.TrimSuffix(fmt.Sprintf("%s %s", e.ID, bytes.Join(e.Fields, []byte(" "))), " "))
		}}
		if want == "1-1  " {
			want = "1-1 "
		}
		if err := read(in, r.Read); err != nil || strings.Join(got, ", ") != want {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
	for name, in := range map[string]string{
		"a string":                       str("1-1"),
		"null":                           "_\r\n",
		"an entry that is null":          "*1\r\n$-1\r\n",
		"an entry that is a string":      array(str("1-1")),
		"an entry without fields":        array(array(str("1-1"))),
		"an entry of three":              array(array(str("1-1"), array(), array())),
		"fields that are null":           array(array(str("1-1"), "$-1\r\n")),
		"fields that are a string":       array(array(str("1-1"), str("a"))),
		"fields before the id":           array(array(array(), str("1-1"))),
		"a name without a value":         array(array(str("1-1"), array(str("a")))),
		"a value that is null":           array(array(str("1-1"), array(str("a"), "_\r\n"))),
		"a value that is an array":       array(array(str("1-1"), array(str("a"), array(str("b"))))),
		"a value that is an error":       array(array(str("1-1"), array(str("a"), "-ERR no\r\n"))),
		"an id that is an array":         array(array(array(str("1-1")), array())),
		"an id that is none":             array(array(str("1-x"), array())),
		"an id that is empty":            array(array(str(""), array())),
		"an id that is longer than any":  array(array(str(strings.Repeat("1", 100)+"-1"), array())),
		"an id that is null":             array(array("_\r\n", array())),
		"an error in place of an entry":  array("-ERR no\r\n"),
		"arrays where an entry is meant": array(array(array(array(array())))),
	} {
		for _, maxEntry := range []int{0, 100} {
			r := &EntryReader{MaxEntry: maxEntry}
			if err := read(in, r.Read); !errors.Is(err, resp.ErrProtocol) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// After an error reply a reader may be given another one.
	r := &EntryReader{}
	for _, in := range []string{"-WRONGTYPE no\r\n", "!12\r\nWRONGTYPE no\r\n"} {
		if err := read(in, r.Read); err != resp.Error("WRONGTYPE no") || r.Seen != 0 {
			t.Errorf("%q: %v", in, err)
		}
	}
	if err := read(array(one), r.Read); err != nil || r.Seen != 1 {
		t.Errorf("%v, %+v", err, r)
	}
}

// hostileSizes are sequences of sizes that no average foretells, with a limit of
// 6,400 bytes for an entry.
var hostileSizes = map[string]func(int) int{
	"tiny, then large":             func(i int) int { return []int{3, 6_000}[i/1200] },
	"tiny, then too large":         func(i int) int { return []int{3, 30_000}[i/1320] },
	"alternating":                  func(i int) int { return []int{3, 6_000}[i%2*(i/1100)] },
	"large, tiny, large":           func(i int) int { return []int{6_000, 3, 6_000}[(i+500)/650] },
	"one in ten":                   func(i int) int { return []int{3, 6_000}[(i%10)/9] },
	"larger and larger, and again": func(i int) int { return 1 << (i % 14) },
}

// However large the entries turn out to be, whoever reads on from the last one
// that was handed on gets each once, in order.
func TestHostileSizes(t *testing.T) {
	t.Parallel()
	const n, maxEntry = 1400, 6400
	for name, size := range hostileSizes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			es := make([]Entry, n)
			for i := range es {
				es[i] = Entry{ID: ID{1000, uint64(i + 1)}, Fields: [][]byte{[]byte("data"), make([]byte, size(i))}, Size: 4 + size(i)}
			}
			next, kept := 0, 0
			r := &EntryReader{
				MaxEntry: maxEntry,
				Each: func(e Entry) {
					want := es[next]
					if tooLarge := want.Size > maxEntry; e.ID != want.ID || e.TooLarge != tooLarge || !tooLarge && len(e.Fields[1]) != len(want.Fields[1]) {
						t.Fatalf("%d: %s, %d bytes", next, e.ID, e.Size)
					}
					next++
					for _, f := range e.Fields {
						kept += len(f)
					}
				},
			}
			texts := make([]string, n)
			for i := range es {
				texts[i] = entryText(es[i])
			}
			replies := 0
			for count := 512; next < n; replies++ {
				from := next
				kept = 0
				r.Anchor = ID{}
				if next > 0 {
					r.Anchor = es[next-1].ID
					from--
				}
				before := next
				if err := read(array(texts[from:min(n, from+count)]...), r.Read); err != nil {
					t.Fatal(err)
				}
				count = min(512, 4*(next-before)) // as many as it takes mostly, and more
				if kept > replyBytes || r.Found != (from < next && r.Anchor != ID{}) {
					t.Fatalf("%d bytes of one reply were kept; found %v", kept, r.Found)
				}
			}
			t.Logf("%d replies", replies)
		})
	}
}

// Whatever a server announces or sends, a reader holds no more than its limits.
// Not parallel: it measures the memory of the process.
func TestEntryReaderMemoryStaysWithinItsBound(t *testing.T) {
	const maxEntry = 64 << 10
	id := "*2\r\n" + str("1-1")
	for name, c := range map[string]struct{ in, repeat string }{
		"entries that are announced": {"*536870912\r\n", ""},
		"fields that are announced":  {"*1\r\n" + id + "*536870912\r\n", ""},
		"a value that is announced":  {"*1\r\n" + id + "*2\r\n" + str("a") + "$536870912\r\n0123456789", ""},
		"a value that comes":         {"*1\r\n" + id + "*2\r\n" + str("a") + "$536870912\r\n", "0123456789"},
		"an id that comes":           {"*1\r\n*2\r\n$536870912\r\n", "0123456789"},
		"empty fields":               {"*1\r\n" + id + "*536870912\r\n", str("")},
		"fields of one byte":         {"*1\r\n" + id + "*536870912\r\n", str("a")},
		"fields of a few bytes":      {"*1\r\n" + id + "*536870912\r\n", str("abcdefgh")},
		"fields that are lines":      {"*1\r\n" + id + "*536870912\r\n", "+" + strings.Repeat("x", 16_000) + "\r\n"},
		"fields that are integers":   {"*1\r\n" + id + "*536870912\r\n", ":12345678\r\n"},
		"entries":                    {"*536870912\r\n", id + "*2\r\n" + str("a") + str(strings.Repeat("x", 1000))},
		"entries without fields":     {"*536870912\r\n", id + "*0\r\n"},
	} {
		text := c.in + strings.Repeat(c.repeat, (8<<20)/max(1, len(c.repeat)))
		r := &EntryReader{MaxEntry: maxEntry}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := r.Read(resp.NewReader(strings.NewReader(text), nil))
		runtime.ReadMemStats(&after)
		// A field costs 6 bytes on the wire at least, and 24 in memory; what
		// grows by a quarter is allocated five times over, and up to a quarter
		// too large.
		if used, limit := after.TotalAlloc-before.TotalAlloc, uint64(5*24/6*(replyBytes+2*maxEntry)*5/4); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) || used > limit {
			t.Errorf("%s: %d bytes, more than %d, %v", name, used, limit, err)
		}
		_ = r.Read(resp.NewReader(strings.NewReader(""), nil))
		if cap(r.arena) > maxArena || cap(r.fields) > maxFields {
			t.Errorf("%s: %d bytes and %d fields are kept for the next reply", name, cap(r.arena), cap(r.fields))
		}
	}
}

// Entries cost no allocation. Not parallel: it counts those of the process.
func TestEntryReaderDoesNotAllocate(t *testing.T) {
	for _, size := range []int{100, 1_900} {
		next, r := benchmarkReplies(size)
		if n := testing.AllocsPerRun(20, func() {
			if err := r.Read(next()); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("entries of %d bytes: %.0f allocations per reply of %d", size, n, r.Seen)
		}
	}
}

// benchmarkReplies returns a reader of a reply of 128 entries of a size, after an
// anchor, again and again.
func benchmarkReplies(size int) (next func() *resp.Reader, r *EntryReader) {
	es := []Entry{entry(ID{1, 0}, "data", "x")}
	for i := range uint64(128) {
		es = append(es, entry(ID{1_700_000_000_000, i}, "data", strings.Repeat("x", size-9), "event", ""))
	}
	r = &EntryReader{Anchor: ID{1, 0}, MaxEntry: 1 << 20, Each: func(Entry) {}}
	src := &again{text: entriesText(es)}
	rd := resp.NewReader(src, nil)
	return func() *resp.Reader { return rd }, r
}

// again is a source that has a text again and again.
type again struct {
	text string
	at   int
}

func (a *again) Read(b []byte) (int, error) {
	n := copy(b, a.text[a.at:])
	a.at = (a.at + n) % len(a.text)
	return n, nil
}

func BenchmarkEntryReader(b *testing.B) {
	for _, size := range []int{100, 1_900} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			next, r := benchmarkReplies(size)
			b.ReportAllocs()
			entries := 0
			for b.Loop() {
				if err := r.Read(next()); err != nil {
					b.Fatal(err)
				}
				entries += r.Seen
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(entries), "ns/entry")
		})
	}
}

// FuzzEntries sends entries through an encoder and back.
func FuzzEntries(f *testing.F) {
	f.Add(uint64(1), uint64(2), []byte("data"), []byte("hello\r\n$5\r\n"), uint8(3), uint64(1))
	f.Add(uint64(0), uint64(0), []byte{}, []byte{0, 255}, uint8(20), uint64(2))
	f.Fuzz(func(t *testing.T, ms, seq uint64, name, value []byte, n uint8, seed uint64) {
		name, value = name[:min(len(name), 100)], value[:min(len(value), 100)] // one reply keeps all of it
		want := make([]Entry, n%40)
		size := 0
		for i := range want {
			want[i].ID = ID{ms, seq + uint64(i)}
			for range i {
				want[i].Fields = append(want[i].Fields, name, value)
				want[i].Size += len(name) + len(value)
			}
			size += want[i].Size
		}
		i := 0
		r := &EntryReader{MaxEntry: size + 1, Each: func(e Entry) {
			if e.ID != want[i].ID || e.Size != want[i].Size || e.TooLarge || !slices.EqualFunc(e.Fields, want[i].Fields, bytes.Equal) {
				t.Fatalf("entry %d is %+v, want %+v", i, e, want[i])
			}
			i++
		}}
		readInPieces(t, rand.New(rand.NewPCG(seed, 1)), entriesText(want), r.Read)
		if i != len(want) || r.Seen != i || r.Bytes != size || r.Cut {
			t.Errorf("%d of %d entries; %+v", i, len(want), r)
		}
	})
}

// FuzzReaders gives arbitrary bytes to all readers: any outcome but a panic, or
// one that depends on the pieces, will do.
func FuzzReaders(f *testing.F) {
	one := entryText(entry(ID{1, 1}, "a", "b"))
	for _, s := range []string{"", "*1\r\n", "*-1\r\n", "-ERR x\r\n", one, array(one, one), array(infoText[0], array(one)), infoText[1], array("-ERR x\r\n", "-ERR y\r\n")} {
		f.Add([]byte(s), byte(2))
	}
	f.Fuzz(func(t *testing.T, in []byte, size byte) {
		var first string
		for _, step := range []int{max(1, len(in)), max(1, int(size))} {
			var got strings.Builder
			es := &EntryReader{MaxEntry: 64, Each: func(e Entry) { fmt.Fprintf(&got, "%+v", e) }}
			for _, read := range []func(*resp.Reader) error{
				es.Read,
				func(rd *resp.Reader) error {
					info, err := ReadInfo(rd)
					fmt.Fprint(&got, info)
					return err
				},
			} {
				fmt.Fprint(&got, read(resp.NewReader(&pieces{rest: string(in), size: step}, nil)))
			}
			fmt.Fprint(&got, es.Seen, es.Bytes, es.Cut)
			if first == "" {
				first = got.String()
			} else if first != got.String() {
				t.Errorf("%q: %s as a whole, %s in pieces of %d", in, first, &got, step)
			}
		}
	})
}
