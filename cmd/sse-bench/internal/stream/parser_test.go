package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// recorder notes what a parser finds.
type recorder struct {
	p   *Parser
	got []string
}

func (r *recorder) Event(kind Kind, data []byte) {
	r.got = append(r.got, fmt.Sprintf("%d|%s|%s", kind, r.p.lastID, data))
}

func (r *recorder) Comment()       { r.got = append(r.got, "comment") }
func (r *recorder) Retry(ms int64) { r.got = append(r.got, fmt.Sprintf("retry %d", ms)) }

// parsePieces feeds the pieces of a stream and returns what was found.
func parsePieces(pieces ...string) []string {
	p := &Parser{}
	r := &recorder{p: p}
	var shared Buffers
	for _, s := range pieces {
		p.Feed([]byte(s), r, &shared)
		(&Parser{}).Feed([]byte("id: other\ndata: other\n\nda"), &nothing{}, &shared) // of another stream
	}
	return append(r.got, "last "+string(p.lastID))
}

var sseStreams = []struct {
	name, in string
	want     []string
}{
	{"plain", "data: a\n\n", []string{"0||a", "last "}},
	{"gateway", "retry: 2713\nid: 1-0\nevent: gateway.ready\ndata: {}\n\nid: 2-0\ndata: x\ndata: y\n\n",
		[]string{"retry 2713", "1|1-0|{}", "0|2-0|x\ny", "last 2-0"}},
	{"gap", "event: gateway.gap\nid: 3-0\ndata: {\"reason\":\"reset\"}\n\n", []string{"2|3-0|{\"reason\":\"reset\"}", "last 3-0"}},
	{"crlf", "id: 1\r\ndata: a\r\n\r\ndata: b\r\n\r\n", []string{"0|1|a", "0|1|b", "last 1"}},
	{"cr", "id: 1\rdata: a\r\rdata: b\r\r", []string{"0|1|a", "0|1|b", "last 1"}},
	{"mixed ends", "id: 1\r\ndata: a\n\rdata: b\r\n\n", []string{"0|1|a", "0|1|b", "last 1"}},
	{"byte order mark", "\xef\xbb\xbfdata: a\n\n", []string{"0||a", "last "}},
	{"comment", ": hi\n\n:\ndata: a\n\n", []string{"comment", "comment", "0||a", "last "}},
	{"no space, two spaces", "data:a\n\ndata:  a\n\n", []string{"0||a", "0|| a", "last "}},
	{"field without colon", "data\n\nid: 4\ndata\ndata\n\n", []string{"0||", "0|4|\n", "last 4"}},
	{"id without data counts", "id: 7\n\n", []string{"last 7"}},
	{"id with NUL is ignored", "id: 7\n\nid: 8\x00\ndata: a\n\n", []string{"0|7|a", "last 7"}},
	{"empty id resets", "id: 7\ndata: a\n\nid\ndata: b\n\n", []string{"0|7|a", "0||b", "last "}},
	{"incomplete event is dropped", "id: 1\ndata: a\n\nid: 2\ndata: b\n", []string{"0|1|a", "last 1"}},
	{"event name is per event", "event: gateway.ready\n\ndata: a\n\n", []string{"0||a", "last "}},
	{"bad retry", "retry: 1x\nretry: \nretry: 12345678901\nretry: 5\n", []string{"retry 5", "last "}},
	{"unknown fields", "date: x\nidea: 1\ndata2: x\nda: 1\n\n", []string{"last "}},
	{"long data", "data: " + strings.Repeat("z", 2000) + "\ndata: more\n\ndata: b\n\n",
		[]string{"0||" + strings.Repeat("z", keepData), "0||b", "last "}},
}

func TestSSEParserAtEverySplit(t *testing.T) {
	for _, tt := range sseStreams {
		t.Run(tt.name, func(t *testing.T) {
			if got := parsePieces(tt.in); !slices.Equal(got, tt.want) {
				t.Fatalf("whole: %q, want %q", got, tt.want)
			}
			for i := range tt.in {
				if got := parsePieces(tt.in[:i], tt.in[i:]); !slices.Equal(got, tt.want) {
					t.Fatalf("split at %d: %q, want %q", i, got, tt.want)
				}
			}
			if got := parsePieces(strings.Split(tt.in, "")...); !slices.Equal(got, tt.want) {
				t.Fatalf("byte by byte: %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSSEParserReset(t *testing.T) {
	p := &Parser{}
	r := &recorder{p: p}
	p.Feed([]byte("id: 1\ndata: a\n\nid: 2\nevent: gateway.gap\ndata: cut\nda"), r, &Buffers{})
	p.Reset()
	// No id on the new stream: the EventSource keeps the last one.
	p.Feed([]byte("data: b\n\n"), r, &Buffers{})
	if want := []string{"0|1|a", "0|1|b"}; !slices.Equal(r.got, want) {
		t.Errorf("got %q, want %q", r.got, want)
	}
}

func FuzzSSEParser(f *testing.F) {
	for _, tt := range sseStreams {
		f.Add(tt.in, 3, 9)
	}
	f.Fuzz(func(t *testing.T, in string, i, j int) {
		i, j = cutAt(in, i, j)
		whole, pieces := parsePieces(in), parsePieces(in[:i], in[i:j], in[j:])
		if !slices.Equal(whole, pieces) {
			t.Errorf("cut at %d and %d: %q, whole %q", i, j, pieces, whole)
		}
	})
}

// cutAt makes two ordered positions in s out of any two numbers.
func cutAt(s string, i, j int) (int, int) {
	i, j = int(uint(i)%uint(len(s)+1)), int(uint(j)%uint(len(s)+1))
	return min(i, j), max(i, j)
}

// nothing is a sink without allocations of its own.
type nothing struct{ n int }

func (n *nothing) Event(Kind, []byte) { n.n++ }
func (n *nothing) Retry(int64)        {}
func (n *nothing) Comment()           {}

func TestWholeEventsAllocateNothing(t *testing.T) {
	stream := []byte(strings.Repeat("id: 1700000000000-0\ndata: "+strings.Repeat("x", 100)+"\n\n", 50))
	p, sink, shared := &Parser{}, &nothing{}, &Buffers{}
	if n := testing.AllocsPerRun(100, func() { p.Feed(stream, sink, shared) }); n != 0 {
		t.Errorf("%v allocations for 50 events", n)
	}
	// A stream at rest has no memory but its last id.
	if p.line != nil || p.data != nil || p.id != nil || cap(p.lastID) > 64 {
		t.Errorf("%d, %d, %d and %d bytes are kept", cap(p.line), cap(p.data), cap(p.id), cap(p.lastID))
	}
}

func BenchmarkSSEParser(b *testing.B) {
	frame := []byte("id: 1700000000000-0\ndata: " + strings.Repeat("x", 100) + "\n\n")
	p, sink, shared := &Parser{}, &nothing{}, &Buffers{}
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		p.Feed(frame, sink, shared)
	}
}
