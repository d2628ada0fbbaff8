package listener

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// awaitTaken waits until the other end's kernel has what was sent, so that the
// next piece is read apart from it, if the server is quick. That is not certain,
// and nothing depends on it but what is covered.
func awaitTaken(t testing.TB, _ *Listener, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, waitedFor, "the piece to be taken", func() bool {
		var info *unix.TCPInfo
		if raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }) != nil || err != nil {
			t.Fatal(err)
		}
		return info.Unacked == 0 && info.Notsent_bytes == 0 || info.State == unix.BPF_TCP_CLOSE // reset by the server
	})
}
