package listener

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// startServer serves the handler through a Listener, as cmd/sse-gateway does,
// until t ends.
func startServer(t testing.TB, handler http.Handler, change func(*Config)) *Listener {
	t.Helper()
	l := newListener(t, func(c *Config) {
		c.Handler, c.IsStream = handler, func(r *http.Request) bool { return r.URL.Path == "/stream" }
		if change != nil {
			change(c)
		}
	})
	s := &http.Server{
		Handler: l.Handler(handler), ConnState: l.ConnState, ConnContext: l.ConnContext,
		ReadHeaderTimeout: HeadTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
		Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0),
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v", err)
		}
	})
	t.Cleanup(func() {
		_ = s.Close()
		serving.Wait()
		redistest.Eventually(t, waitedFor, "all places to be given back", func() bool { return l.pending.open.Load() == 0 })
	})
	return l
}

// describe is what a handler sees of a request, apart from what differs between
// any two.
func describe(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %q %s host=%q length=%d encoding=%v close=%v nobody=%v form=%v\n",
		r.Method, r.RequestURI, r.URL.String(), r.Proto, r.Host, r.ContentLength, r.TransferEncoding, r.Close, r.Body == http.NoBody, r.Form)
	var names []string
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %q\n", name, r.Header[name])
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err != nil || host != "127.0.0.1" {
		fmt.Fprintf(&b, "from %q\n", r.RemoteAddr)
	}
	return b.String()
}

// describing answers with what it has seen of a request. What it does depends on
// the query: it hijacks the connection, or answers in one of several ways.
var describing = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	text := describe(r)
	w.Header().Set("X-Path", r.URL.Path)
	switch r.URL.RawQuery {
	case "refuse":
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, text)
	case "close":
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, text)
	case "nothing":
		w.WriteHeader(http.StatusNoContent)
		w.Header().Set("X-Late", "1")
	case "silent":
	case "large":
		for range 100 {
			_, _ = io.WriteString(w, text+strings.Repeat("x", 500))
		}
	case "abort":
		panic(http.ErrAbortHandler)
	case "status":
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK)
	case "read":
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s%q %v", text, body, err)
	default:
		if r.URL.Path != "/stream" || r.ProtoMajor != 1 {
			_, _ = io.WriteString(w, text)
			return
		}
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = c.SetDeadline(time.Time{})
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+text)
		_ = c.Close()
	}
})

// ways are a server for each way in.
type ways [2]*Listener

func startWays(t testing.TB, change func(*Config)) (w ways) {
	for i := range w {
		w[i] = startServer(t, describing, func(c *Config) {
			if c.Portable = i == 1; c.Portable {
				c.IsStream = nil
			}
			if change != nil {
				change(c)
			}
		})
	}
	return w
}

var (
	dateLine  = regexp.MustCompile(`Date: [^\r]*`)
	waitedFor = time.Minute
)

// exchange sends a request in pieces and returns everything that comes back,
// until the server closes the connection. The client closes its side at the end,
// so that no connection is kept.
func exchange(t testing.TB, l *Listener, pieces ...string) string {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tcp := c.(*net.TCPConn)
	_ = tcp.SetDeadline(time.Now().Add(waitedFor))
	for i, piece := range pieces {
		if i > 0 {
			awaitTaken(t, l, tcp)
		}
		if _, err := io.WriteString(tcp, piece); err != nil {
			break // it was answered before it had sent everything
		}
	}
	_ = tcp.CloseWrite()
	b, err := io.ReadAll(tcp)
	text := dateLine.ReplaceAllString(string(b), "Date: now")
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("the connection stays open after %q", text)
		}
	}
	return text
}

// both returns what the two ways answer, which must be the same.
func (w ways) both(t testing.TB, pieces ...string) string {
	t.Helper()
	front, netHTTP := exchange(t, w[0], pieces...), exchange(t, w[1], pieces...)
	if front != netHTTP {
		t.Errorf("%q is answered\n%s\nby net/http alone\n%s", pieces, front, netHTTP)
	}
	return front
}

// requests are heads and bodies of all kinds. net/http judges each.
var requests = []string{
	"GET /stream HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nAccept: text/event-stream\r\n\r\n",
	"GET /stream?close HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET /stream?nothing HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET /stream?silent HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET /stream?large HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET /stream?abort HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET /stream?status HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nConnection: keep-alive\r\n\r\n",
	"GET /other HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET / HTTP/1.1\r\nhost:gateway:8080\r\nX-A:  spaces  \r\nx-a: again\r\nCookie: a=b; c=d\r\n\r\n",
	"GET /stream?refuse HTTP/1.0\r\nHost: gateway\r\n\r\n",
	"GET /stream?refuse HTTP/1.0\r\n\r\n",
	"GET /stream?refuse HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	"GET /stream?refuse HTTP/1.2\r\nHost: gateway\r\n\r\n",
	"GET /stream?refuse HTTP/3.0\r\nHost: gateway\r\n\r\n",
	"GET /stream?refuse\r\n\r\n",
	"GET /stream HTTP/1.1\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: a b\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost:\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\n folded\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\n Host: gateway\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nX y: z\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nX-Tab:\ta\tb\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nX-Text: h\u00e9\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nX-Nul: \x00\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nX.Dot!: 1\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nno colon\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\n: empty\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\nHost: gateway\n\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\r\n\r\n",
	"\r\nGET /stream?refuse HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET  /stream?refuse HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET /stream?refuse  HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"get /stream?refuse HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET http://elsewhere/stream?refuse HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET //stream?refuse HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET /%73tream?refuse HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET /%zz HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nPragma: no-cache\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nTE: trailers\r\nTrailer: X\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nContent-Length: 0\r\n\r\n",
	"GET /stream?read HTTP/1.1\r\nHost: gateway\r\nContent-Length: 5\r\n\r\nhello",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nContent-Length: 5\r\n\r\nhello",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nContent-Length: x\r\n\r\n",
	"GET /stream?read HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nExpect: 100-continue\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n\r\n",
	"POST /stream?read HTTP/1.1\r\nHost: gateway\r\nContent-Length: 5\r\n\r\nhello",
	"HEAD /stream?refuse HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"CONNECT gateway:80 HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\n\r\nGET /other HTTP/1.1\r\nHost: gateway\r\n\r\nGET /stream?refuse HTTP/1.1\r\nHost: gateway\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nX-Long: " + strings.Repeat("x", 5000) + "\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nX-Long: " + strings.Repeat("x", 50_000) + "\r\n\r\n",
	"GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\nX-Long: " + strings.Repeat("x", maxHead-69) + "\r\n\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	"",
	"\r\n\r\n",
}

// What a client is answered is the same, byte for byte, whether its request is
// decided from memory or by net/http alone.
func TestWaysInAnswerTheSame(t *testing.T) {
	t.Parallel()
	w := startWays(t, nil)
	for _, r := range requests {
		t.Run(fmt.Sprintf("%.60q", r), func(t *testing.T) {
			t.Parallel()
			w.both(t, r)
			if len(r) == 0 || len(r) > maxHead {
				return
			}
			for _, cut := range []int{1, len(r) / 2, len(r) - 1} {
				w.both(t, r[:cut], r[cut:])
				w.both(t, r[:cut]) // half of it, and no more
			}
		})
	}
}

// A connection that is kept after a refusal serves what comes next.
func TestRefusalKeepsTheConnection(t *testing.T) {
	t.Parallel()
	w := startWays(t, nil)
	const refused = "GET /stream?refuse HTTP/1.1\r\nHost: gateway\r\n\r\n"
	got := w.both(t, refused, "GET /stream?nothing HTTP/1.1\r\nHost: gateway\r\n\r\n", refused, "GET /stream HTTP/1.1\r\nHost: gateway\r\n\r\n")
	for _, status := range []string{"503 Service Unavailable", "204 No Content", "200 OK"} {
		if !strings.Contains(got, "HTTP/1.1 "+status) {
			t.Errorf("no %s in %s", status, got)
		}
	}
}

// FuzzHandOver cuts any bytes anywhere, and compares with net/http alone.
func FuzzHandOver(f *testing.F) {
	for _, r := range requests {
		f.Add([]byte(r), uint16(len(r)/2), uint16(len(r)))
	}
	w := startWays(f, nil)
	f.Fuzz(func(t *testing.T, b []byte, one, two uint16) {
		if len(b) > 64<<10 || bytes.HasPrefix(b, []byte("PRI")) { // what HTTP/2 answers with is in no fixed order
			return
		}
		i := min(int(one), len(b))
		j := max(i, min(int(two), len(b)))
		w.both(t, string(b[:i]), string(b[i:j]), string(b[j:]))
	})
}
