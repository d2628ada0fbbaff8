package conn

import (
	"bufio"
	"bytes"
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestResponseHeader(t *testing.T) {
	for _, chunked := range []bool{true, false} {
		set := http.Header{"X-Content-Type-Options": {"nosniff"}, "Vary": {"Origin", "Accept"}}
		head := ResponseHeader(set, chunked)
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
		if err != nil {
			t.Fatalf("%v: %q", err, head)
		}
		want := set.Clone()
		SetStreamHeaders(want)
		for name, values := range want {
			if got := res.Header.Values(name); len(got) != len(values) || got[0] != values[0] {
				t.Errorf("%s: %q, want %q", name, got, values)
			}
		}
		at, err := http.ParseTime(res.Header.Get("Date"))
		if err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("Date is %q", res.Header.Get("Date"))
		}
		if res.Close == chunked || res.ContentLength != -1 || slices.Equal(res.TransferEncoding, []string{"chunked"}) != chunked {
			t.Errorf("close %v, length %d, encoding %v", res.Close, res.ContentLength, res.TransferEncoding)
		}
	}
}

func TestHTTPDate(t *testing.T) {
	second := time.Date(2026, 5, 3, 23, 59, 59, 0, time.UTC)
	for _, at := range []time.Time{second, second.Add(999 * time.Millisecond), second.Add(time.Second), second} {
		if got, want := httpDate(at.Local()), at.Format(http.TimeFormat); got != want {
			t.Errorf("%v: %q, want %q", at, got, want)
		}
	}
}
