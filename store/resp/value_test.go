package resp

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestValue(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]any{
		"+OK\r\n":                     "OK",
		":-12\r\n":                    int64(-12),
		"$3\r\nabc\r\n":               "abc",
		"$0\r\n\r\n":                  "",
		"$-1\r\n":                     nil,
		"*-1\r\n":                     nil,
		"_\r\n":                       nil,
		"#t\r\n":                      true,
		"#f\r\n":                      false,
		",1.50\r\n":                   "1.50",
		"(123\r\n":                    "123",
		"=5\r\ntxt:a\r\n":             "a",
		"*0\r\n":                      []any{},
		"~1\r\n:1\r\n":                []any{int64(1)},
		"%1\r\n+a\r\n:1\r\n":          []any{"a", int64(1)},
		"*2\r\n-ERR a\r\n*1\r\n_\r\n": []any{Error("ERR a"), []any{nil}},
	} {
		if got, err := valueOf(in); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %#v, %v", in, got, err)
		}
	}
	for _, in := range []string{"-ERR a\r\n", "!5\r\nERR a\r\n"} {
		got, err := valueOf(in)
		var e redis.Error
		if got != nil || err != Error("ERR a") || !errors.As(err, &e) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{":x\r\n", ":\r\n", ":99999999999999999999\r\n", "=3\r\nabc\r\n", "=5\r\nabcde\r\n"} {
		if got, err := valueOf(in); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	if _, err := valueOf("$1048577\r\n" + strings.Repeat("x", 1<<20+1) + "\r\n"); !errors.Is(err, errTooLarge) {
		t.Errorf("a string of over a megabyte: %v", err)
	}
	if _, err := valueOf("*40000\r\n" + strings.Repeat("_\r\n", 40000)); !errors.Is(err, errTooLarge) {
		t.Errorf("many elements: %v", err)
	}
}

func valueOf(in string) (any, error) {
	return NewReader(strings.NewReader(in), func(rd *Reader, n int) error { return rd.nested(n, rd.skipNext) }).Value()
}
