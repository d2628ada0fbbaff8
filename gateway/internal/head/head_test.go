package head

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzClassify checks what is said to be a plain head with net/http's parser.
func FuzzClassify(f *testing.F) {
	const plain = "GET /stream?channel=a HTTP/1.1\r\nHost: gateway:80\r\nAccept: text/event-stream\r\n\r\n"
	if Classify([]byte(plain)) != Plain {
		f.Fatalf("%q is not plain", plain)
	}
	for _, r := range []string{
		plain, plain + "GET", plain[:len(plain)-1], strings.ReplaceAll(plain, "\r", ""),
		strings.Replace(plain, "GET", "POST", 1), strings.Replace(plain, "/1.1", "/1.0", 1),
		strings.Replace(plain, "Accept", "Host", 1), strings.Replace(plain, "Accept:", "Accept :", 1),
		strings.Replace(plain, "Accept", "Content-Length", 1), strings.Replace(plain, "gateway", "g/a", 1),
		strings.Replace(plain, "?channel", "%zz", 1), strings.Replace(plain, "text", strings.Repeat("x", Max), 1),
	} {
		f.Add([]byte(r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if Classify(b) != Plain {
			return
		}
		var p parser
		r, err := p.parse(b)
		if err != nil {
			return // net/http answers
		}
		if p.in.Buffered() != 0 || p.from.Len() != 0 {
			t.Errorf("%d bytes are behind the head", p.in.Buffered()+p.from.Len())
		}
		if r.Method != http.MethodGet || r.Proto != "HTTP/1.1" || r.Body != http.NoBody || r.ContentLength != 0 || r.Host == "" {
			t.Errorf("%q is no plain GET: %+v", b, r)
		}
		for i := range b {
			if k := Classify(b[:i]); k != Incomplete && i > 0 {
				t.Fatalf("%q is the beginning of a plain head, and counts as %d", b[:i], k)
			}
		}
	})
}
