package reactor

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// The kernel sends no probes on a connection that was detached and attached again.
func TestWrapFDHasNoKeepAlive(t *testing.T) {
	_, c := redistest.Pair(t, redistest.Listen(t))
	if err := c.(*net.TCPConn).SetKeepAlive(false); err != nil {
		t.Fatal(err)
	}
	fd, ok := DetachFD(c)
	if !ok {
		t.Fatal("the connection cannot be detached")
	}
	again, err := WrapFD(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	raw, err := again.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		if on, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE); err != nil || on != 0 {
			t.Errorf("SO_KEEPALIVE is %d (%v), want 0", on, err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}
