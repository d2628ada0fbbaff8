package resp

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// recorder is a Sink that writes down what it is told. Strings longer than
// limit are skipped; 0 skips none.
type recorder struct {
	got   []string
	limit int
	depth int
	most  int // of the lengths and numbers of elements that were announced
}

func (r *recorder) note(format string, args ...any) {
	r.got = append(r.got, fmt.Sprintf(format, args...))
}

func (r *recorder) Begin(kind Kind, n int) error {
	r.note("%c%d(", kind, n)
	r.depth++
	r.most = max(r.most, n)
	return nil
}

func (r *recorder) Reserve(n int) []byte {
	r.most = max(r.most, n)
	if r.limit > 0 && n > r.limit {
		return nil
	}
	return make([]byte, n)
}

func (r *recorder) Scalar(kind Kind, s []byte, size int) error {
	if s == nil {
		r.note("%c nil %d", kind, size)
	} else {
		r.note("%c%s", kind, s)
	}
	return nil
}

func (r *recorder) End() error {
	r.depth--
	r.note(")")
	return nil
}

// samples are values of every kind of RESP2 and RESP3, what a Sink is told of
// them, and what the Sink of the pushes is told.
var samples = []struct{ in, want, pushed string }{
	{"+OK\r\n", "+OK", ""},
	{"+\r\n", "+", ""},
	{"-ERR no\r\n", "-ERR no", ""},
	{":-12\r\n", ":-12", ""},
	{"$3\r\nabc\r\n", "$abc", ""},
	{"$0\r\n\r\n", "$", ""},
	{"$6\r\n\r\n*9\r\n\r\n", "$\r\n*9\r\n", ""},
	{"$-1\r\n", "_ nil 0", ""},
	{"*-1\r\n", "_ nil 0", ""},
	{"_\r\n", "_ nil 0", ""},
	{"*0\r\n", "*0( )", ""},
	{"*2\r\n*1\r\n*0\r\n$3\r\nabc\r\n", "*2( *1( *0( ) ) $abc )", ""},
	{"#t\r\n", "#t", ""},
	{"#f\r\n", "#f", ""},
	{",1.5\r\n", ",1.5", ""},
	{",-inf\r\n", ",-inf", ""},
	{"(3492890328409238509324850943850943825024385\r\n", "(3492890328409238509324850943850943825024385", ""},
	{"!6\r\nERR \r\n\r\n", "-ERR \r\n", ""},
	{"!0\r\n\r\n", "-", ""},
	{"*1\r\n!5\r\nERR a\r\n", "*1( -ERR a )", ""},
	{"=8\r\ntxt:some\r\n", "=txt:some", ""},
	{"%1\r\n+a\r\n*1\r\n:1\r\n", "%2( +a *1( :1 ) )", ""},
	{"%0\r\n", "%0( )", ""},
	{"%-1\r\n", "_ nil 0", ""},
	{"~2\r\n:1\r\n_\r\n", "~2( :1 _ nil 0 )", ""},
	// An attribute describes the value after it, and is skipped.
	{"|1\r\n+ttl\r\n*2\r\n$1\r\na\r\n%0\r\n:7\r\n", ":7", ""},
	{"*2\r\n|1\r\n+a\r\n:1\r\n:7\r\n:8\r\n", "*2( :7 :8 )", ""},
	{"*1\r\n|0\r\n|1\r\n|1\r\n+a\r\n+b\r\n+c\r\n+d\r\n:7\r\n", "*1( :7 )", ""},
	// Pushes come before a value, and inside of it.
	{">2\r\n+a\r\n_\r\n+OK\r\n", "+OK", ">2( +a _ nil 0 )"},
	{">2\r\n+a\r\n*1\r\n$1\r\nk\r\n>0\r\n+OK\r\n", "+OK", ">2( +a *1( $k ) ) >0( )"},
	{"*2\r\n:1\r\n>1\r\n+a\r\n:2\r\n", "*2( :1 :2 )", ">1( +a )"},
	{"*2\r\n>1\r\n*1\r\n+a\r\n*1\r\n>1\r\n+b\r\n:2\r\n>0\r\n:3\r\n", "*2( *1( :2 ) :3 )", ">1( *1( +a ) ) >1( +b ) >0( )"},
	{">1\r\n|1\r\n+a\r\n+b\r\n+c\r\n+OK\r\n", "+OK", ">1( +c )"},
	{"|1\r\n+a\r\n>1\r\n+b\r\n+c\r\n+OK\r\n", "+OK", ">1( +b )"},
}

// feed gives a value to a parser in the pieces that end at the cuts, and returns
// what the parser did not take. Nothing may be left of a piece unless the value
// has ended.
func feed(t *testing.T, p *Parser, sink Sink, in string, cuts ...int) (rest string, done bool, err error) {
	t.Helper()
	from := 0
	for _, to := range append(cuts, len(in)) {
		piece := []byte(in[from:to])
		n, done, err := p.Feed(piece, sink)
		if string(piece) != in[from:to] {
			t.Fatalf("the bytes of %q were changed", in)
		}
		if done || err != nil {
			return in[from+n:], done, err
		}
		if n != len(piece) {
			t.Fatalf("%q: %d of a piece of %d bytes were taken", in, n, len(piece))
		}
		from = to
	}
	return "", false, nil
}

// everyCut calls f with the cuts of n bytes into pieces: all that there are of a
// few bytes; of more, those into two and three pieces and into single bytes.
func everyCut(n int, f func(cuts ...int)) {
	if n <= 11 {
		for set := range 1 << (n - 1) {
			var cuts []int
			for i := range n - 1 {
				if set&(1<<i) != 0 {
					cuts = append(cuts, i+1)
				}
			}
			f(cuts...)
		}
		return
	}
	for i := range n {
		for j := i; j < n; j++ {
			f(i, j)
		}
	}
	single := make([]int, n)
	for i := range single {
		single[i] = i
	}
	f(single...)
}

func TestParserTellsEveryKindWhateverThePieces(t *testing.T) {
	t.Parallel()
	for _, c := range samples {
		in := c.in + "+next\r\n"
		everyCut(len(c.in), func(cuts ...int) {
			for limit := range 2 {
				var sink, pushes recorder
				sink.limit = limit
				p := NewParser(&pushes)
				rest, done, err := feed(t, p, &sink, in, append(slices.Clone(cuts), len(c.in))...)
				want := c.want
				if limit == 1 {
					want = skipped(c.in, want)
				}
				got, pushed := strings.Join(sink.got, " "), strings.Join(pushes.got, " ")
				if !done || err != nil || got != want || pushed != c.pushed || sink.depth != 0 {
					t.Fatalf("%q cut at %v: %s and %s, %v, %v; want %s and %s", c.in, cuts, got, pushed, done, err, want, c.pushed)
				}
				// What follows is left for the next value.
				if rest != "" && rest != "+next\r\n" {
					t.Fatalf("%q cut at %v: %q is left", c.in, cuts, rest)
				}
			}
		})
	}
}

// skipped is what a Sink is told that skips all strings but those of one byte.
func skipped(in, want string) string {
	switch {
	case strings.HasPrefix(in, "=8"):
		return "= nil 8"
	case strings.HasPrefix(in, "$6"):
		return "$ nil 6"
	}
	return strings.ReplaceAll(want, "$abc", "$ nil 3")
}

// A parser takes one value after the other, each into a Sink of its own.
func TestParserTakesValuesInOrder(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	for _, c := range samples {
		in.WriteString(c.in)
	}
	for size := 1; size < 40; size++ {
		p := NewParser(&recorder{})
		rest, buffered := in.String(), []byte(nil)
		for _, c := range samples {
			var sink recorder
			for done := false; !done; {
				if len(buffered) == 0 {
					n := min(size, len(rest))
					buffered, rest = []byte(rest[:n]), rest[n:]
				}
				n, ended, err := p.Feed(buffered, &sink)
				if err != nil {
					t.Fatal(err)
				}
				buffered, done = buffered[n:], ended
			}
			if got := strings.Join(sink.got, " "); got != c.want {
				t.Fatalf("pieces of %d bytes, %q: %s, want %s", size, c.in, got, c.want)
			}
		}
	}
}

// badInputs are bytes that are not RESP, or more than is taken of it.
var badInputs = map[string]string{
	"another protocol":          "HTTP/1.1 400 Bad Request\r\n",
	"an empty line":             "\r\n\r\n",
	"a line without its return": "+OK\n",
	"no kind":                   "OK\r\n",
	"a length of letters":       "*x\r\n",
	"no length":                 "$\r\n",
	"a negative length":         "$-5\r\n",
	"a length beyond the limit": "$536870913\r\n",
	"a length beyond an int":    "$99999999999999999999\r\n",
	"a number beyond the limit": "*536870913\r\n",
	"streamed elements":         "*?\r\n",
	"a streamed string":         "$?\r\n",
	"a string that is longer":   "$3\r\nabcd\r\n",
	"a string without its end":  "$3\r\nabc\nx",
	"null with a text":          "_x\r\n",
	"neither true nor false":    "#x\r\n",
	"a null push":               ">-1\r\n",
	"a null attribute":          "|-1\r\n",
	"a push in a push":          ">2\r\n+a\r\n>1\r\n+b\r\n",
	"nested without end":        strings.Repeat("*1\r\n", 1<<12),
	"nested pushes":             strings.Repeat("*1\r\n>1\r\n", 1<<10),
	"attributes without end":    strings.Repeat("|1\r\n", 1<<12),
	"a line without end":        "+" + strings.Repeat("x", 1<<17),
	"a long error":              "!65537\r\n",
}

func TestParserRefusesWhatIsNotRESP(t *testing.T) {
	t.Parallel()
	for name, in := range badInputs {
		for _, size := range []int{1, 7, 4096, len(in)} {
			var cuts []int
			for at := size; at < len(in); at += size {
				cuts = append(cuts, at)
			}
			if _, done, err := feed(t, NewParser(&recorder{}), &recorder{}, in, cuts...); done || !errors.Is(err, ErrProtocol) {
				t.Errorf("%s, in pieces of %d bytes: %v, %v", name, size, done, err)
			}
		}
	}
}

// A reply that no command asked for is an error, and so is a push where none is
// expected; a push where no reply is expected is not.
func TestParserRefusesWhatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	if _, _, err := NewParser(&recorder{}).Feed([]byte("+OK\r\n"), nil); !errors.Is(err, ErrProtocol) {
		t.Errorf("a reply: %v", err)
	}
	if _, _, err := NewParser(nil).Feed([]byte(">1\r\n+a\r\n"), &recorder{}); !errors.Is(err, ErrProtocol) {
		t.Errorf("a push: %v", err)
	}
	var pushes recorder
	p := NewParser(&pushes)
	if n, done, err := p.Feed([]byte(">1\r\n+a\r\n>1"), nil); n != 10 || done || err != nil || len(pushes.got) != 3 {
		t.Errorf("a push and a half: %d, %v, %v, %v", n, done, err, pushes.got)
	}
	// The other half may come while a reply is awaited.
	var sink recorder
	if _, done, err := p.Feed([]byte("\r\n+b\r\n:1\r\n"), &sink); !done || err != nil || len(pushes.got) != 6 || len(sink.got) != 1 {
		t.Errorf("the other half, and a reply: %v, %v, %v, %v", done, err, pushes.got, sink.got)
	}
}

// An error of a Sink ends the parsing, whichever method returns it.
func TestParserReturnsTheErrorsOfItsSinks(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for at := range 4 {
		if _, _, err := NewParser(nil).Feed([]byte("*1\r\n:1\r\n"), &failing{at, broken}); at < 3 != errors.Is(err, broken) {
			t.Errorf("call %d: %v", at, err)
		}
	}
	if _, _, err := NewParser(nil).Feed([]byte("$5\r\nhello\r\n"), short{&Status{}}); err == nil {
		t.Error("a Sink that reserves too little is not told so")
	}
}

type failing struct {
	after int
	err   error
}

func (f *failing) fail() error {
	if f.after--; f.after < 0 {
		return f.err
	}
	return nil
}

func (f *failing) Begin(Kind, int) error          { return f.fail() }
func (f *failing) Reserve(int) []byte             { return nil }
func (f *failing) Scalar(Kind, []byte, int) error { return f.fail() }
func (f *failing) End() error                     { return f.fail() }

type short struct{ *Status }

func (short) Reserve(n int) []byte { return make([]byte, n-1) }

// allocated returns how many bytes f allocates.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// Whatever a server announces or sends, a Value and the parser hold no more than
// their bounds. Not parallel: it measures the memory of the process.
func TestMemoryStaysWithinItsBound(t *testing.T) {
	line := "+" + strings.Repeat("x", 60_000) + "\r\n"
	for name, c := range map[string]struct {
		in     string // and then
		repeat string // for ever, up to 16 MiB
		limit  int64
	}{
		"a string that is announced": {"$536870912\r\n0123456789", "", 64 << 10},
		"an array that is announced": {"*536870912\r\n:1\r\n", "", 64 << 10},
		"a map that is announced":    {"%536870912\r\n:1\r\n", "", 64 << 10},
		"an error that is announced": {"!65536\r\nERR", "", 128 << 10},
		"a string that comes":        {"$536870912\r\n", "0123456789", 64 << 10},
		"a line without end":         {"+", "0123456789", 256 << 10},
		"strings in lines":           {"*536870912\r\n", line, 8 * maxValue},
		"strings":                    {"*536870912\r\n", "$10\r\n0123456789\r\n", 16 * maxValue},
		"integers":                   {"*536870912\r\n", ":1\r\n", 16 * maxValue},
		"empty arrays":               {"*536870912\r\n", "*0\r\n", 16 * maxValue},
		"arrays of arrays":           {"*536870912\r\n", "*16\r\n" + strings.Repeat(":1\r\n", 16), 16 * maxValue},
		"pushes":                     {"", ">1\r\n*1\r\n$3\r\nabc\r\n", 64 << 10},
		"attributes":                 {"", "|1\r\n$3\r\nabc\r\n" + line, 256 << 10},
	} {
		repeat := []byte(strings.Repeat(c.repeat, 1+(1<<20)/max(1, len(c.repeat))))
		var err error
		used := allocated(func() {
			p, v := NewParser(&Status{}), &Value{}
			_, _, err = p.Feed([]byte(c.in), v)
			for sent := 0; c.repeat != "" && err == nil && sent < 16<<20; sent += len(repeat) {
				_, _, err = p.Feed(repeat, v)
			}
		})
		if used > c.limit {
			t.Errorf("%s: %d bytes, more than %d, until %v", name, used, c.limit, err)
		}
	}
}
