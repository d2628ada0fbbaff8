package pattern

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func TestPatternMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		yes, no []string
	}{
		{"orders", []string{"orders"}, []string{"order", "orders:1", "Orders", "xorders", "ordersx"}},
		{"*", []string{"orders", "a/b.c{d}"}, []string{"a:b", ":"}},
		{"**", []string{"orders", "a:b:c", ":"}, nil},
		{"orders:*", []string{"orders:1", "orders:"}, []string{"orders", "orders:1:2", "xorders:1"}},
		{"orders:**", []string{"orders:1", "orders:1:2", "orders:"}, []string{"orders", "order:1"}},
		{"user-*", []string{"user-1", "user-"}, []string{"user-1:x", "user1"}},
		{"*:chat", []string{"a:chat", ":chat"}, []string{"chat", "a:b:chat", "a:chat:x"}},
		{"**:chat", []string{"a:chat", "a:b:chat"}, []string{"chat", "a:chats"}},
		{"a:*:c", []string{"a:b:c", "a::c"}, []string{"a:c", "a:b:b:c"}},
		{"a:**:c", []string{"a:b:c", "a:b:b:c", "a::c"}, []string{"a:c"}},
		{"*a*b*", []string{"ab", "xaxbx", "aab"}, []string{"ba", "a:b"}},
		{"**a*b**", []string{"x:ab:y", "a:axb", "ab"}, []string{"a:b", "ba"}},
		{"{room}:*", []string{"{room}:1"}, []string{"room:1"}},
		{"a.c", []string{"a.c"}, []string{"abc"}},
	} {
		ps, err := Parse([]string{tc.pattern})
		if err != nil {
			t.Fatal(err)
		}
		for _, ch := range tc.yes {
			if !ps.Match(ch) {
				t.Errorf("%q does not match %q", tc.pattern, ch)
			}
		}
		for _, ch := range tc.no {
			if ps.Match(ch) {
				t.Errorf("%q matches %q", tc.pattern, ch)
			}
		}
	}
}

func TestPatternsNone(t *testing.T) {
	var zero Set
	if zero.Match("a") {
		t.Error("the zero value matches")
	}
	ps, err := Parse([]string{" a ", "b:*"})
	if err != nil || !ps.Match("a") || !ps.Match("b:1") || ps.Match("c") {
		t.Errorf("got %v, %v", ps, err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, bad := range []string{"", " ", "a b", "a,b", "a***", "ä", "a\n", "a?", "[a]", strings.Repeat("a", maxPattern+1)} {
		_, err := Parse([]string{"good", bad})
		if err == nil {
			t.Errorf("%q was accepted", bad)
			continue
		}
		if !strings.Contains(err.Error(), "accepted is") || len(err.Error()) > 600 {
			t.Errorf("unhelpful error: %v", err)
		}
		if len(ParseValid([]string{bad}).list) > 0 {
			t.Errorf("ParseValid kept %q", bad)
		}
	}
}

// reference says the same in another language.
func reference(t testing.TB, pattern string) *regexp.Regexp {
	e := regexp.QuoteMeta(pattern)
	e = strings.ReplaceAll(e, `\*\*`, `(?s:.*)`)
	e = strings.ReplaceAll(e, `\*`, `[^:]*`)
	re, err := regexp.Compile(`\A(?:` + e + `)\z`)
	if err != nil {
		t.Fatal(err)
	}
	return re
}

func TestPatternMatchesLikeReference(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	text := func(alphabet string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = alphabet[rng.IntN(len(alphabet))]
		}
		return string(b)
	}
	matched := 0
	for range 20000 {
		p, ok := parsePattern(text("ab:***", 1+rng.IntN(9)))
		if !ok {
			continue
		}
		re := reference(t, p.text)
		for range 8 {
			ch := text("ab:", 1+rng.IntN(9))
			want := re.MatchString(ch)
			if got := p.match(ch); got != want {
				t.Fatalf("%q on %q: got %v, want %v", p.text, ch, got, want)
			}
			if want {
				matched++
			}
		}
	}
	if matched < 1000 {
		t.Errorf("only %d matches: the test proves nothing", matched)
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("**a*b**:*", "x:ab:y")
	f.Add("a:*", "a:b")
	f.Fuzz(func(t *testing.T, pattern, channel string) {
		p, ok := parsePattern(pattern)
		if !ok || !ValidChannel(channel) {
			return
		}
		if got, want := p.match(channel), reference(t, p.text).MatchString(channel); got != want {
			t.Fatalf("%q on %q: got %v, want %v", p.text, channel, got, want)
		}
	})
}

func TestValidChannel(t *testing.T) {
	for _, ok := range []string{"a", "A_z.0:/{}-9", strings.Repeat("x", 200)} {
		if !ValidChannel(ok) {
			t.Errorf("%q was refused", ok)
		}
	}
	for _, bad := range []string{"", strings.Repeat("x", 201), "a b", "a,b", "a*", "ä", "a\x00", "a\r\nb", "a\u2028"} {
		if ValidChannel(bad) {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// BenchmarkPatternHostile is the worst that a pattern and a name can do.
func BenchmarkPatternHostile(b *testing.B) {
	p, ok := parsePattern(strings.Repeat("a**", maxPattern/3) + "b")
	if !ok {
		b.Fatal("bad pattern")
	}
	ch := strings.Repeat("a", MaxChannel)
	for b.Loop() {
		if p.match(ch) {
			b.Fatal("matched")
		}
	}
}

func BenchmarkPatternPrefix(b *testing.B) {
	ps, err := Parse([]string{"orders:**"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !ps.Match("orders:eu:1234") {
			b.Fatal("no match")
		}
	}
}

func TestChannelExpressionSaysTheSame(t *testing.T) {
	expression := regexp.MustCompile(ChannelExpression)
	names := []string{"", "a", "ü", "a\n", "\na", strings.Repeat("a", MaxChannel), strings.Repeat("a", MaxChannel+1)}
	for c := range 256 {
		names = append(names, string([]byte{byte(c)}), string([]byte{'a', byte(c), 'a'}))
	}
	for _, name := range names {
		if valid := ValidChannel(name); expression.MatchString(name) != valid {
			t.Errorf("%q: ValidChannel says %v, the expression does not", name, valid)
		}
	}
}
