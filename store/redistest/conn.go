package redistest

import (
	"net"
	"testing"
)

// Listen listens on a free loopback port until t ends.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", loopback(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// ServeConns calls serve, which closes it, with each connection to a new
// listener, on a goroutine of its own, until t ends.
func ServeConns(t testing.TB, serve func(net.Conn)) net.Listener {
	t.Helper()
	l := Listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			go serve(c)
		}
	}()
	return l
}

// Pair opens a connection to a listener, which has no other clients, and
// returns both its ends. They are closed when t ends.
func Pair(t testing.TB, l net.Listener) (client, server net.Conn) {
	t.Helper()
	client, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}
