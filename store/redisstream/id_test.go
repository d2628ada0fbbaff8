package redisstream

import (
	"math"
	"math/big"
	"testing"
)

func TestParseID(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]ID{
		"0-0":             {},
		"1700000000000-7": {1700000000000, 7},
		"18446744073709551615-18446744073709551615": MaxID,
	} {
		if id, err := ParseID(s); err != nil || id != want || id.String() != s {
			t.Errorf("ParseID(%q) = %v, %v", s, id, err)
		}
	}
	for _, s := range []string{
		"", "-", "1", "1-", "-1", "01-1", "1-01", "00-0", "1-1 ", " 1-1", "+1-1", "1--1", "1-1-1", "$", "*", "1-*",
		"18446744073709551616-0", "0-18446744073709551616", "99999999999999999999999-1", "١-١",
	} {
		if id, err := ParseID(s); err == nil {
			t.Errorf("ParseID(%q) = %v", s, id)
		}
	}
}

func FuzzID(f *testing.F) {
	f.Add("1-1", uint64(1), uint64(1), uint64(0), uint64(0))
	f.Add("0-0", uint64(0), uint64(0), uint64(math.MaxUint64), uint64(math.MaxUint64))
	f.Add("18446744073709551615-0", uint64(5), uint64(math.MaxUint64), uint64(6), uint64(0))
	f.Fuzz(func(t *testing.T, s string, ms, seq, ms2, seq2 uint64) {
		if id, err := ParseID(s); err == nil && id.String() != s {
			t.Errorf("%q is read as %s", s, id)
		}
		a, b := ID{ms, seq}, ID{ms2, seq2}
		if back, err := ParseID(a.String()); err != nil || back != a || len(a.String()) > maxIDLen {
			t.Errorf("%s is read back as %s, %v", a, back, err)
		}
		if got := string(a.AppendTo([]byte("x"))); got != "x"+a.String() {
			t.Errorf("AppendTo: %s", got)
		}
		// An id is a number of 128 bits.
		na, nb := bigOf(a), bigOf(b)
		if a.Compare(b) != na.Cmp(nb) || a.Less(b) != (na.Cmp(nb) < 0) || Min(a, b).Compare(a) > 0 || Min(a, b).Compare(b) > 0 {
			t.Errorf("the order of %s and %s", a, b)
		}
		if next := bigOf(a.Next()); a != MaxID && next.Sub(next, na).Cmp(big.NewInt(1)) != 0 || a == MaxID && a.Next() != a {
			t.Errorf("%s.Next() = %s", a, a.Next())
		}
		if prev := bigOf(a.Prev()); !a.IsZero() && na.Sub(na, prev).Cmp(big.NewInt(1)) != 0 || a.IsZero() && a.Prev() != a {
			t.Errorf("%s.Prev() = %s", a, a.Prev())
		}
	})
}

func bigOf(id ID) *big.Int {
	n := new(big.Int).SetUint64(id.Ms)
	return n.Lsh(n, 64).Add(n, new(big.Int).SetUint64(id.Seq))
}
