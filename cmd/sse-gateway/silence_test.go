package main

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
	"github.com/sse-gateway/sse-gateway/gateway/listener"
)

// oneConn is a listener with a single connection.
type oneConn struct {
	net.Listener
	conn   chan net.Conn
	closed func()
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c, ok := <-l.conn; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l *oneConn) Close() error { l.closed(); return nil }

// serveOne has the public server serve one connection without a network, and
// returns its other end.
func serveOne(t *testing.T, handler http.HandlerFunc) net.Conn {
	t.Helper()
	s := newPublicServer(&config.Config{WriteTimeout: 30 * time.Second}, nil, slog.New(slog.DiscardHandler))
	s.Handler = handler
	client, server := net.Pipe()
	conns := make(chan net.Conn, 1)
	conns <- server
	l := &oneConn{conn: conns, closed: sync.OnceFunc(func() { close(conns) })}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		_ = client.Close()
		_ = s.Close()
		serving.Wait()
	})
	return client
}

// requireHangUp checks that the server closes a connection on which nothing is
// sent any more after so long.
func requireHangUp(t *testing.T, in io.Reader, want time.Duration) {
	t.Helper()
	start := time.Now()
	_, err := io.Copy(io.Discard, in)
	if d := time.Since(start); err != nil || d != want {
		t.Errorf("the server hung up after %v, want %v: %v", d, want, err)
	}
}

// A client that has been answered and asks for nothing more is let go.
func TestIdleConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serveOne(t, http.NotFound)
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(c)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		requireHangUp(t, in, idleTimeout)
	})
}

// So is one that does not finish its request.
func TestUnfinishedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serveOne(t, http.NotFound)
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost:"); err != nil {
			t.Fatal(err)
		}
		requireHangUp(t, c, listener.HeadTimeout)
	})
}

// A client of HTTP/2 that has a stream is asked for a sign of life; one that
// gives none has vanished.
func TestSilentHTTP2Client(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		c := serveOne(t, func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			close(gone)
		})
		var reading sync.WaitGroup
		reading.Go(func() { _, _ = io.Copy(io.Discard, c) })
		start := time.Now()
		if _, err := io.WriteString(c, h2Preface+h2Frame(h2Headers, h2EndStream|h2EndHeaders, 1, h2Request("channel=a"))); err != nil {
			t.Fatal(err)
		}
		<-gone
		if d := time.Since(start); d != 2*h2Silence {
			t.Errorf("the stream ended after %v, want %v", d, 2*h2Silence)
		}
		reading.Wait()
	})
}
