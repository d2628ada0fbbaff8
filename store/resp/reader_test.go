package resp

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// recorder reads values and writes down what they are. Strings longer than limit
// are skipped; 0 skips none.
type recorder struct {
	got   []string
	limit int
}

func (r *recorder) note(format string, args ...any) {
	r.got = append(r.got, fmt.Sprintf(format, args...))
}

// read reads one value.
func (r *recorder) read(rd *Reader) error {
	h, err := rd.Next()
	switch {
	case err != nil:
		return err
	case h.IsAggregate():
		return r.elements(rd, h.Kind, h.Len)
	case h.Kind == Null:
		r.note("_ nil 0")
		return nil
	case r.limit > 0 && h.Len > r.limit && (h.Kind == Bulk || h.Kind == Verbatim):
		r.note("%c nil %d", h.Kind, h.Len)
		return rd.Skip(h)
	}
	s, err := rd.Append(nil, h)
	if err == nil {
		r.note("%c%s", h.Kind, s)
	}
	return err
}

// push reads a push.
func (r *recorder) push(rd *Reader, n int) error { return r.elements(rd, Push, n) }

func (r *recorder) elements(rd *Reader, kind Kind, n int) error {
	r.note("%c%d(", kind, n)
	if err := rd.nested(n, func() error { return r.read(rd) }); err != nil {
		return err
	}
	r.note(")")
	return nil
}

// samples are values of every kind of RESP2 and RESP3, what a recorder has
// of them, and what one of the pushes has.
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

// pieces is a source that has a text in the pieces that end at the cuts.
type pieces struct {
	text string
	cuts []int
	at   int
}

func (p *pieces) Read(b []byte) (int, error) {
	for len(p.cuts) > 0 && p.cuts[0] <= p.at {
		p.cuts = p.cuts[1:]
	}
	end := len(p.text)
	if len(p.cuts) > 0 {
		end = min(end, p.cuts[0])
	}
	if end == p.at {
		return 0, io.EOF
	}
	n := copy(b, p.text[p.at:end])
	p.at += n
	return n, nil
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

func TestReaderReadsEveryKindWhateverThePieces(t *testing.T) {
	t.Parallel()
	for _, c := range samples {
		everyCut(len(c.in), func(cuts ...int) {
			for limit := range 2 {
				values, pushes := &recorder{limit: limit}, &recorder{}
				rd := NewReader(&pieces{text: c.in + "+next\r\n", cuts: slices.Clone(cuts)}, pushes.push)
				err := values.read(rd)
				want := c.want
				if limit == 1 {
					want = skipped(c.in, want)
				}
				got, pushed := strings.Join(values.got, " "), strings.Join(pushes.got, " ")
				if err != nil || got != want || pushed != c.pushed {
					t.Fatalf("%q cut at %v: %s and %s, %v; want %s and %s", c.in, cuts, got, pushed, err, want, c.pushed)
				}
				// What follows is left for the next value.
				if v, err := rd.Value(); v != "next" || err != nil {
					t.Fatalf("%q cut at %v: then %v, %v", c.in, cuts, v, err)
				}
			}
		})
	}
}

// skipped is what a recorder has that skips all strings but those of one byte.
func skipped(in, want string) string {
	switch {
	case strings.HasPrefix(in, "=8"):
		return "= nil 8"
	case strings.HasPrefix(in, "$6"):
		return "$ nil 6"
	}
	return strings.ReplaceAll(want, "$abc", "$ nil 3")
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
	"a long error":              "!16385\r\n",
}

func TestReaderRefusesWhatIsNotRESP(t *testing.T) {
	t.Parallel()
	for name, in := range badInputs {
		for _, size := range []int{1, 7, 4096, len(in)} {
			var cuts []int
			for at := size; at < len(in); at += size {
				cuts = append(cuts, at)
			}
			for how, read := range map[string]func(*Reader) error{
				"read":    (&recorder{}).read,
				"skipped": (*Reader).skipNext,
				"a value": func(rd *Reader) error { _, err := rd.Value(); return err },
			} {
				if err := read(NewReader(&pieces{text: in, cuts: cuts}, (&recorder{}).push)); !errors.Is(err, ErrProtocol) {
					t.Errorf("%s, %s, in pieces of %d bytes: %v", name, how, size, err)
				}
			}
		}
	}
}

// A reply that no command asked for is an error, and so is a push where none is
// expected; a push where no reply is expected is not.
func TestReaderRefusesWhatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	pushes := &recorder{}
	reader := func(in string, pushes PushFunc) *Reader {
		rd := NewReader(&pieces{text: in}, pushes)
		_, _ = rd.buf.Peek(1)
		return rd
	}
	if err := reader("+OK\r\n", pushes.push).Pushes(); !errors.Is(err, ErrProtocol) {
		t.Errorf("a reply: %v", err)
	}
	if _, err := reader(">1\r\n+a\r\n+OK\r\n", nil).Value(); !errors.Is(err, ErrProtocol) {
		t.Errorf("a push: %v", err)
	}
	if err := reader(">1\r\n+a\r\n|1\r\n+b\r\n+c\r\n>1\r\n+d\r\n", pushes.push).Pushes(); err != nil || len(pushes.got) != 6 {
		t.Errorf("two pushes: %v, %v", err, pushes.got)
	}
}

// Text has strings of up to maxText, and skips what is longer or no string.
func TestText(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxText)
	for in, want := range map[string]string{
		"+a\r\n": "a", ":12\r\n": "12", "$3\r\nabc\r\n": "abc", "$0\r\n\r\n": "",
		fmt.Sprintf("$%d\r\n%s\r\n", maxText, long):    long,
		fmt.Sprintf("$%d\r\n%sx\r\n", maxText+1, long): "",
		"*1\r\n+a\r\n": "", "_\r\n": "", "=5\r\ntxt:a\r\n": "", "-ERR\r\n": "", "#t\r\n": "",
	} {
		rd := NewReader(iotest.OneByteReader(strings.NewReader(in+"+next\r\n")), nil)
		h, err := rd.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := rd.Text(h); err != nil || string(got) != want {
			t.Errorf("%.20q: %.20q, %v", in, got, err)
		}
		if v, err := rd.Value(); v != "next" || err != nil {
			t.Errorf("%.20q: then %v, %v", in, v, err)
		}
	}
	for _, in := range []string{"$3\r\nabcd\r\n", "$3\r\nabc"} {
		rd := NewReader(strings.NewReader(in), nil)
		h, _ := rd.Next()
		if got, err := rd.Text(h); err == nil {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// Whatever a server announces or sends, Value and the Reader hold no more than
// their bounds. Not parallel: it measures the memory of the process.
func TestMemoryStaysWithinItsBound(t *testing.T) {
	line := "+" + strings.Repeat("x", 16_000) + "\r\n"
	for name, c := range map[string]struct {
		in     string // and then
		repeat string // for ever, up to 16 MiB
		limit  int64
	}{
		"a string that is announced": {"$536870912\r\n0123456789", "", 64 << 10},
		"an array that is announced": {"*536870912\r\n:1\r\n", "", 64 << 10},
		"a map that is announced":    {"%536870912\r\n:1\r\n", "", 64 << 10},
		"an error that is announced": {"!16384\r\nERR", "", 128 << 10},
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
		var err error
		used := allocated(func() {
			src := io.MultiReader(strings.NewReader(c.in), io.LimitReader(&endless{text: c.repeat}, 16<<20))
			_, err = NewReader(src, func(rd *Reader, n int) error { return rd.nested(n, rd.skipNext) }).Value()
		})
		if used > c.limit {
			t.Errorf("%s: %d bytes, more than %d, until %v", name, used, c.limit, err)
		}
	}
}

// endless is a source that has a text over and over.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(b []byte) (int, error) {
	if e.text == "" {
		return 0, io.EOF
	}
	n := copy(b, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}
