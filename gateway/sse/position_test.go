package sse

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/gateway/access/pattern"
	"github.com/sse-gateway/sse-gateway/store"
)

// testChannels returns n sorted names of all lengths that names can have.
func testChannels(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("channel-%03d", i) + strings.Repeat("x", (i*37)%(pattern.MaxChannel-10))
	}
	return names
}

// positionOf writes a position as the contract has it.
func positionOf(ids []store.ID, channels []string) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	if len(ids) > 1 {
		texts = append(texts, Signature(channels))
	}
	return strings.Join(texts, "~")
}

func randomID() store.ID {
	pick := func() uint64 {
		return []uint64{0, 1, 9, 10, 1700000000000, rand.Uint64(), math.MaxUint64}[rand.IntN(7)]
	}
	return store.ID{Ms: pick(), Seq: pick()}
}

func TestPositionRoundTrip(t *testing.T) {
	alphabet := regexp.MustCompile(`^[0-9a-f~-]+$`)
	for n := 1; n <= 300; n++ {
		channels := testChannels(n)
		ids := make([]store.ID, n)
		for i := range ids {
			ids[i] = randomID()
		}
		text := positionOf(ids, channels)
		got, ok := ParsePosition(text, channels)
		if !ok || !slices.Equal(got, ids) {
			t.Fatalf("%d channels: %.80s is read as %v, %v", n, text, got, ok)
		}
		if !alphabet.MatchString(text) {
			t.Fatalf("%.80s has characters that a browser may preflight", text)
		}
	}
}

func TestPositionOfTheLongestIDs(t *testing.T) {
	for _, n := range []int{1, 2, 32, 1000} {
		channels := testChannels(n)
		text := positionOf(slices.Repeat([]store.ID{store.MaxID}, n), channels)
		if _, ok := ParsePosition(text, channels); !ok {
			t.Errorf("%d channels: a position of %d bytes is not read", n, len(text))
		}
		if _, ok := ParsePosition("1"+text, channels); ok {
			t.Errorf("%d channels: one byte more is read", n)
		}
	}
}

// A browser may ask a server of another origin for permission to send a
// Last-Event-ID of more than 128 bytes. That is so from 8 channels on; all of
// the permitted 32 are far within what a request's head may have.
func TestPositionLength(t *testing.T) {
	now := store.ID{Ms: 1700000000000, Seq: 0}
	for n, want := range map[int]int{1: 15, 2: 38, 7: 118, 8: 134, 32: 518} {
		if got := len(positionOf(slices.Repeat([]store.ID{now}, n), testChannels(n))); got != want {
			t.Errorf("%d channels: %d bytes, want %d", n, got, want)
		}
	}
}

func TestSignature(t *testing.T) {
	seen := map[string][]string{}
	for _, channels := range [][]string{{"a", "b"}, {"a", "c"}, {"ab", "c"}, {"a", "bc"}, {"a", "b", "c"}, {"a:b", "c"}, {"A", "b"}} {
		s := Signature(channels)
		if !regexp.MustCompile(`^[0-9a-f]{6}$`).MatchString(s) {
			t.Errorf("the signature of %q is %q", channels, s)
		}
		if other, ok := seen[s]; ok {
			t.Errorf("%q and %q have one signature", channels, other)
		}
		seen[s] = channels
	}
	// It is in ids that clients keep over an upgrade of the gateway.
	if got := Signature([]string{"alerts", "orders"}); got != "ed1e7b" {
		t.Errorf("the signature has changed to %s", got)
	}
}

func TestBrokenPositions(t *testing.T) {
	one, two := []string{"a"}, []string{"a", "b"}
	names := Signature(two)
	for name, tc := range map[string]struct {
		channels []string
		text     string
	}{
		"empty":                            {one, ""},
		"short for several channels":       {two, "5~6-0~" + names},
		"short with a leading zero":        {one, "00"},
		"minus one":                        {one, "-1"},
		"no sequence":                      {one, "1700000000000-"},
		"no time":                          {one, "-0"},
		"only a dash":                      {one, "-"},
		"two dashes":                       {one, "1-2-3"},
		"negative":                         {one, "-1-0"},
		"a leading zero":                   {one, "01-0"},
		"a leading zero of the sequence":   {one, "1-00"},
		"a plus":                           {one, "+1-0"},
		"a space":                          {one, "1-0 "},
		"time over 64 bits":                {one, "18446744073709551616-0"},
		"sequence over 64 bits":            {one, "0-18446744073709551616"},
		"far over 64 bits":                 {one, strings.Repeat("9", 40)},
		"too long":                         {one, strings.Repeat("1", 100_000)},
		"hexadecimal":                      {one, "1f-0"},
		"letters":                          {one, "abc"},
		"full-width digits":                {one, "１-０"},
		"NUL":                              {one, "1-0\x00"},
		"not UTF-8":                        {one, "\xff-\xfe"},
		"two for one channel":              {one, "1-0~2-0~" + names},
		"one and its names":                {one, "1-0~" + Signature(one)},
		"one for two channels":             {two, "1-0"},
		"one and the names for two":        {two, "1-0~" + names},
		"three for two channels":           {two, "1-0~2-0~3-0~" + names},
		"no names":                         {two, "1-0~2-0"},
		"an empty name":                    {two, "1-0~2-0~"},
		"the names of others":              {two, "1-0~2-0~" + Signature([]string{"a", "c"})},
		"the names in upper case or short": {two, "1-0~2-0~" + names[:5]},
		"the names too long":               {two, "1-0~2-0~" + names + "0"},
		"only names":                       {two, "~" + names},
		"an empty part":                    {two, "1-0~~" + names},
		"an empty part in front":           {two, "~1-0~" + names},
		"a broken part":                    {two, "1-0~x~" + names},
		"another separator":                {two, "1-0,2-0," + names},
		"two, too long":                    {two, strings.Repeat("1-0~", 100_000) + names},
	} {
		t.Run(name, func(t *testing.T) {
			if ids, ok := ParsePosition(tc.text, tc.channels); ok || ids != nil {
				t.Errorf("%.80q is read as %v", tc.text, ids)
			}
		})
	}
}

// FuzzPosition: what is taken for a position is the one way to write it.
func FuzzPosition(f *testing.F) {
	for n := range 4 {
		channels := testChannels(n + 1)
		f.Add(positionOf(slices.Repeat([]store.ID{{Ms: 17, Seq: 4}}, n+1), channels), uint8(n))
	}
	f.Add("~~~", uint8(2))
	f.Add("-~-~000000", uint8(1))
	f.Add("18446744073709551616-0", uint8(0))
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		channels := testChannels(int(n)%40 + 1)
		ids, ok := ParsePosition(text, channels)
		if ok && (len(ids) != len(channels) || positionOf(ids, channels) != text) {
			t.Errorf("%q is read as %v", text, ids)
		}
		if !ok && ids != nil {
			t.Errorf("%q is no position, but %v", text, ids)
		}
	})
}
