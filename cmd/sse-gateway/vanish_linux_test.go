package main

import (
	"context"
	"net"
	"syscall"
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

// A client whose host vanished is freed soon after the write timeout, whether
// something was sent to it meanwhile, which nobody acknowledges, or not.
func TestVanishedHost(t *testing.T) {
	t.Parallel()
	const writeTimeout = 3 * time.Second
	r := redistest.Start(t)
	for name, heartbeat := range map[string]string{"with heartbeats": "500ms", "idle": "1h"} {
		for version := 1; version <= 2; version++ {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := startGateway(t, gatewayEnv(r.URL(), "SSE_WRITE_TIMEOUT="+writeTimeout.String(), "SSE_HEARTBEAT="+heartbeat)...)
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
				start := time.Now()
				redistest.Eventually(t, 4*writeTimeout, "the stream is gone", func() bool { return p.metric("sse_gateway_connections") == 0 })
				t.Logf("HTTP/%d: gone after %v", version, time.Since(start))
			})
		}
	}
}

// Connections have the options that were set on the listener.
func TestSocketOptionsAreInherited(t *testing.T) {
	l, err := listen("SSE_ADDR", "127.0.0.1:0", 7*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, conn := redistest.Pair(t, l)
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []struct{ level, option, want int }{
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 7000},
		{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLimit},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 4}, // half, rounded up
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 2},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
	} {
		var got int
		if e := raw.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), o.level, o.option) }); e != nil || err != nil {
			t.Fatal(e, err)
		}
		if got != o.want {
			t.Errorf("option %d of level %d is %d, want %d", o.option, o.level, got, o.want)
		}
	}
}
