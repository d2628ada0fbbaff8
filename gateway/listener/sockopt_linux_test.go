package listener

import (
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// requireOptions checks the options of a connection that a listener has accepted.
func requireOptions(t *testing.T, fd int) {
	t.Helper()
	for _, o := range []struct{ level, option, want int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentLowat},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0},
	} {
		if got, err := unix.GetsockoptInt(fd, o.level, o.option); err != nil || got != o.want {
			t.Errorf("option %d of level %d is %d (%v), want %d", o.option, o.level, got, err, o.want)
		}
	}
}

// Connections have the options that were set on the listener, whoever accepts
// them.
func TestSocketOptionsAreInherited(t *testing.T) {
	t.Parallel()
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, accepted := redistest.Pair(t, l)
	raw, err := accepted.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { requireOptions(t, int(fd)) }); err != nil {
		t.Fatal(err)
	}

	looked := make(chan struct{})
	own := New(l, Config{MaxFDs: 10, Hijacked: func() int64 { return 0 }, Throttled: prometheus.NewCounter(prometheus.CounterOpts{}), Log: testLog(t),
		IsStream: func(*http.Request) bool { return true },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			defer close(looked)
			requireOptions(t, int(w.(*decision).socket.fd))
			panic(http.ErrAbortHandler)
		})})
	defer own.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-looked
	if n, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("an aborted request is answered %d bytes, %v", n, err)
	}
}
