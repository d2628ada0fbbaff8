package conn

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// secured returns both ends of a TLS session.
func secured(t *testing.T, server, client net.Conn) (s, c net.Conn) {
	t.Helper()
	files := redistest.NewTLSFiles(t)
	cert, err := tls.LoadX509KeyPair(files.ServerCertFile, files.ServerKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	ts := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}})
	config := files.ClientConfig()
	config.ServerName = "127.0.0.1"
	tc := tls.Client(client, config)
	shaken := make(chan error, 1)
	go func() { shaken <- ts.Handshake() }()
	if err := errors.Join(tc.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	return ts, tc
}

// smallPair returns a connection and its client's end, which holds little.
func smallPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l := redistest.Listen(t)
	client, err := redistest.SmallDialer(4096).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return server, client
}

// awaitFull waits until the client has taken all that it will take.
func awaitFull(t *testing.T, c interface{ Peer() PeerState }) (last PeerState) {
	t.Helper()
	same := 0
	redistest.Eventually(t, 20*time.Second, "the client's kernel to be full", func() bool {
		state := c.Peer()
		if same++; !state.Waiting || state != last {
			same = 0
		}
		last = state
		return same == 10
	})
	return last
}

// The shard sees what a client takes while a write to it waits, below TLS as well.
func TestPeerOfAWriteThatWaits(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			server, client := smallPair(t)
			if secure {
				server, client = secured(t, server, client)
			}
			c := NewHijacked(server)
			written := make(chan error, 1)
			go func() { _, err := c.Write(make([]byte, 8<<20)); written <- err }()
			before := awaitFull(t, c)
			if _, err := io.CopyN(io.Discard, client, 64<<10); err != nil {
				t.Fatal(err)
			}
			redistest.Eventually(t, 20*time.Second, "what the client has read to be seen", func() bool { return c.Peer().Taken != before.Taken })
			c.Abort()
			if err := <-written; err == nil {
				t.Error("the write did not fail")
			}
			c.Close()
		})
	}
}

// Of a response whose connection takes nothing, it is no progress that the kernel
// takes more; and to cut the stream closes the connection, or nothing would tell the
// client.
func TestPeerOfAConnectionThatTakesNothing(t *testing.T) {
	server, client := smallPair(t)
	if _, err := server.Write(make([]byte, 16<<10)); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(WithConn(t.Context(), server), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := NewResponse(&slowResponse{}, r)
	before := awaitFull(t, c)
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if after := c.Peer(); after != before {
		t.Errorf("after a write that only the kernel took: %+v, before it: %+v", after, before)
	}
	c.Abort()
	if _, err := io.Copy(io.Discard, client); err == nil {
		t.Error("the connection was not reset")
	}
}

// A stream of HTTP/2 whose window is closed makes no progress, and one that writes
// does.
func TestPeerOfAClosedWindow(t *testing.T) {
	server, _ := smallPair(t)
	r, err := http.NewRequestWithContext(WithConn(t.Context(), server), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := NewResponse(&slowResponse{}, r)
	c.writes.active.Store(true) // as during a write that waits
	before := c.Peer()
	if again := c.Peer(); !before.Waiting || again != before {
		t.Errorf("%+v, and then %+v", before, again)
	}
	c.writes.done.Add(1)
	if after := c.Peer(); after.Taken == before.Taken {
		t.Error("a chunk that was written is no progress")
	}
}
