package gateway

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// gunzipper reads a gzip stream as its bytes come, with the standard library. It gives
// out all that can be known of what it was given.
type gunzipper struct {
	ended bool // the trailer was there, and right

	// mu guards the fields below.
	mu     sync.Mutex
	change *sync.Cond
	in     bytes.Buffer
	out    []byte
	hungry bool // the reader waits for more
	closed bool // nothing more will come
	err    error
}

func newGunzipper() *gunzipper {
	g := &gunzipper{}
	g.change = sync.NewCond(&g.mu)
	go g.run()
	return g
}

// Read gives the decompressor what there is, and waits if there is nothing.
func (g *gunzipper) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.in.Len() == 0 && !g.closed {
		g.hungry = true
		g.change.Broadcast()
		g.change.Wait()
	}
	g.hungry = false
	return g.in.Read(p)
}

func (g *gunzipper) run() {
	err := errors.New("bytes after the end of the gzip stream")
	in := bufio.NewReader(g)
	r, rerr := gzip.NewReader(in)
	if rerr == nil {
		r.Multistream(false)
		b := make([]byte, 32<<10)
		for rerr == nil {
			var n int
			n, rerr = r.Read(b)
			g.mu.Lock()
			g.out = append(g.out, b[:n]...)
			g.mu.Unlock()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if rerr != io.EOF {
		err = rerr
	}
	g.ended = rerr == io.EOF && in.Buffered() == 0
	g.err = err
	g.change.Broadcast()
}

// decode returns what p says, after what came before it.
func (g *gunzipper) decode(p []byte) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil && len(p) > 0 {
		return nil, g.err
	}
	g.in.Write(p)
	g.hungry = false
	g.change.Broadcast()
	for !g.hungry && g.err == nil {
		g.change.Wait()
	}
	out := g.out
	g.out = nil
	if g.err != nil && (!g.ended || g.in.Len() > 0) {
		return out, g.err
	}
	return out, nil
}

// close ends the goroutine.
func (g *gunzipper) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.change.Broadcast()
}

// connectHTTP10 opens a stream by HTTP/1.0, and returns its body, unpacked, once the
// header is there.
func (e *harness) connectHTTP10(channel, coding string) io.ReadCloser {
	e.t.Helper()
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(enginePatience))
	if _, err := io.WriteString(conn, "GET /events?channel="+channel+" HTTP/1.0\r\nAccept-Encoding: "+coding+"\r\n\r\n"); err != nil {
		e.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		e.t.Fatal(err)
	}
	if coding != "gzip" {
		return response.Body
	}
	r, err := gzip.NewReader(response.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return r
}
