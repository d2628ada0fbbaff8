package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// vanish makes a connection's host vanish as its peer sees it: every packet
// that arrives for the socket is dropped before TCP sees it, so nothing is
// acknowledged, no probe is answered, and no reset is sent.
func vanish(t *testing.T, conn net.Conn) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	if e := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	}); e != nil || err != nil {
		t.Fatal(e, err)
	}
}

// A client whose host vanished is freed soon after the write timeout: nobody
// acknowledges the next heartbeat.
func TestVanishedHost(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	for version := 1; version <= 2; version++ {
		t.Run(fmt.Sprintf("HTTP/%d", version), func(t *testing.T) {
			t.Parallel()
			p := startGateway(t, vanishEnv(r.URL())...)
			var conn net.Conn
			tr := transport(t, version, nil)
			tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				var d net.Dialer
				var err error
				conn, err = d.DialContext(ctx, network, addr)
				return conn, err
			}
			subscribe(t, tr, p.eventsURL("channel=a")).ready(t)
			vanish(t, conn)
			p.requireFreed(t)
		})
	}
}

// A client that vanishes while it is taking a large event slowly is freed as soon.
func TestVanishedAfterASlowWrite(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, vanishEnv(r.URL())...)
	conn := dialSmall(t, p.public)
	testVanishAfterASlowWrite(t, r, p, conn, func() { vanish(t, conn) })
}

// The same with a host that loses its address: gateway and client are in network
// namespaces of their own, with a cable between them.
func TestHostVanishedAfterASlowWrite(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	server, client := newNetns(t), newNetns(t)
	link(server, client, "10.0.0.1/24", "10.0.0.2/24")
	redis := server.listen()
	forward(t, redis, func() net.Conn { c, _ := net.Dial("tcp", r.Addr()); return c })
	env := append(vanishEnv(r.URLAt(redis.Addr().String())), "SSE_ADDR=10.0.0.1:0")
	p := startGatewayCommand(t, server.command(gatewayBinary), env...)
	inside := p.admin
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	forward(t, admin, func() (c net.Conn) {
		_ = server.do(func() (err error) { c, err = net.Dial("tcp", inside); return err })
		return c
	})
	p.admin = admin.Addr().String()
	// Full packets need a larger buffer than dialSmall's: the kernel would drop some
	// and send them again ever more slowly.
	conn := client.dial(redistest.SmallDialer(8*receiveBuffer), p.public)
	testVanishAfterASlowWrite(t, r, p, conn, func() { client.ip("addr", "del", "10.0.0.2/24", "dev", "cable") })
}

const vanishTimeout = 3 * time.Second

func vanishEnv(redisURL string) []string {
	return gatewayEnv(redisURL, "SSE_WRITE_TIMEOUT="+vanishTimeout.String(), "SSE_HEARTBEAT=500ms")
}

// requireFreed waits until the only stream is gone.
func (p *gatewayProcess) requireFreed(t *testing.T) {
	t.Helper()
	start := time.Now()
	redistest.Eventually(t, patience, "the stream is gone", func() bool { return p.metric("sse_gateway_connections") == 0 })
	t.Logf("gone after %v", time.Since(start))
}

// testVanishAfterASlowWrite has a client take a large event slowly, vanish, and be
// freed.
func testVanishAfterASlowWrite(t *testing.T, r *redistest.Server, p *gatewayProcess, conn net.Conn, vanish func()) {
	t.Helper()
	fmt.Fprintf(conn, "GET /events?channel=a HTTP/1.1\r\nHost: h\r\n\r\n")
	p.awaitMetric(patience, 1, "sse_gateway_connections_parked")
	const size, most = 400_000, 320 << 10
	r.XAdd("sse:a", "data", numbered(0, size))
	p.awaitMetric(patience, 0, "sse_gateway_connections_parked") // the write waits
	// It takes most of it, which is known to be too little for the write to return.
	// Each few kB may cost a probe of a window that was full, a fraction of a second.
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.CopyN(io.Discard, conn, most); err != nil {
		t.Fatal(err)
	}
	// Then it reads a little at a time, until the write has returned and the rest is in
	// the kernel's buffer. After a write of over a second the stream is not parked
	// before its next heartbeat, so what was read counts too.
	read := most
	redistest.Eventually(t, patience, "the write to return", func() bool {
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		n, _ := conn.Read(make([]byte, 16<<10))
		read += n
		return p.metric("sse_gateway_connections_parked") == 1 || read > size
	})
	vanish()
	p.requireFreed(t)
}
