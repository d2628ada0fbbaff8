package stream

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// readResponse feeds the pieces of a response and returns its head and content.
// end is io.EOF when the body ended by its own framing.
func readResponse(pieces ...string) (head Head, content string, end error) {
	var h HeadParser
	var b Body
	done := false
	for _, piece := range pieces {
		p := []byte(piece)
		if !done {
			var used int
			if head, used, done, end = h.Feed(p); end != nil || !done {
				if end != nil {
					return head, content, end
				}
				continue
			}
			b.Reset(head)
			p = p[used:]
		}
		for len(p) > 0 {
			var data []byte
			data, p, end = b.Next(p)
			content += string(data)
			if end != nil {
				return head, content, end
			}
		}
		if b.Done() {
			return head, content, io.EOF
		}
	}
	return head, content, nil
}

const okHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"

var responses = []struct {
	name, in string
	head     Head
	content  string
	end      error
}{
	{"until close", okHead + "\r\nhello", Head{200, true, false, false, -1}, "hello", nil},
	{"chunked", okHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;ext=\"5\"\r\n \r\n5 \r\nworld\r\n",
		Head{200, true, true, false, -1}, "hello world", nil},
	{"chunked to the end", okHead + "transfer-encoding: Chunked\r\n\r\n0A\r\nhelloworld\r\n0\r\nTrailer: x\r\n\r\n",
		Head{200, true, true, false, -1}, "helloworld", io.EOF},
	{"coded", okHead + "Content-Encoding: gzip\r\n\r\nhello", Head{200, true, false, true, -1}, "hello", nil},
	{"length", okHead + "Content-Length: 5\r\n\r\nhello", Head{200, true, false, false, 5}, "hello", io.EOF},
	{"length 0", okHead + "Content-Length: 0\r\n\r\n", Head{200, true, false, false, 0}, "", io.EOF},
	{"after 100", "HTTP/1.1 100 Continue\r\n\r\n" + okHead + "\r\nx", Head{200, true, false, false, -1}, "x", nil},
	{"only 100 so far", "HTTP/1.1 100\r\n\r\nHTTP/1.1 2", Head{}, "", nil},
	{"no reason", "HTTP/1.1 204\r\n\r\n", Head{204, false, false, false, -1}, "", nil},
	{"another type", "HTTP/1.0 200 OK\r\nContent-Type: text/event-streams\r\n\r\n", Head{200, false, false, false, -1}, "", nil},
	{"case", "HTTP/1.1 200 OK\r\nCONTENT-TYPE:TEXT/Event-Stream\r\n\r\n", Head{200, true, false, false, -1}, "", nil},
	{"bad chunk size", okHead + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", Head{200, true, true, false, -1}, "", errChunk},
	{"huge chunk size", okHead + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", Head{200, true, true, false, -1}, "", errChunk},
	{"no CRLF after a chunk", okHead + "Transfer-Encoding: chunked\r\n\r\n1\r\nabc", Head{200, true, true, false, -1}, "a", errChunk},
}

func TestResponseAtEverySplit(t *testing.T) {
	for _, tt := range responses {
		t.Run(tt.name, func(t *testing.T) {
			for i := range len(tt.in) + 1 {
				head, content, end := readResponse(tt.in[:i], tt.in[i:])
				if head != tt.head || content != tt.content || !errors.Is(end, tt.end) {
					t.Fatalf("split at %d: %+v %q %v", i, head, content, end)
				}
			}
			head, content, end := readResponse(strings.Split(tt.in, "")...)
			if head != tt.head || content != tt.content || !errors.Is(end, tt.end) {
				t.Fatalf("byte by byte: %+v %q %v", head, content, end)
			}
		})
	}
}

func TestMalformedHeads(t *testing.T) {
	for _, in := range []string{
		"SSH-2.0-OpenSSH\r\n\r\n",
		"HTTP/2.0 200 OK\r\n\r\n",
		"HTTP/1.1 2x0 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead),
	} {
		if _, _, err := readResponse(in); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%.40q: error %v", in, err)
		}
	}
}

func FuzzResponse(f *testing.F) {
	for _, tt := range responses {
		f.Add(tt.in, 20, 80)
	}
	f.Fuzz(func(t *testing.T, in string, i, j int) {
		i, j = cutAt(in, i, j)
		h1, c1, e1 := readResponse(in)
		h2, c2, e2 := readResponse(in[:i], in[i:j], in[j:])
		if h1 != h2 || c1 != c2 || (e1 == nil) != (e2 == nil) {
			// A head that is too long may be found out at different places.
			if !errors.Is(e1, errHeadTooLong) && !errors.Is(e2, errHeadTooLong) {
				t.Errorf("cut at %d and %d: %+v %q %v, whole %+v %q %v", i, j, h2, c2, e2, h1, c1, e1)
			}
		}
	})
}
