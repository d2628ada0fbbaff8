package reactor

import (
	"net"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// A connection that is detached and attached again looks for a vanished host
// as its listener was told to, with or without keep-alive probes.
func TestWrapFDKeepsKeepAlive(t *testing.T) {
	for name, want := range map[string]keepAlive{
		"on":  {1, 7, 3, 4},
		"off": {0, 7, 3, 4},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := redistest.Pair(t, redistest.Listen(t))
			config := net.KeepAliveConfig{Enable: true, Idle: 7 * time.Second, Interval: 3 * time.Second, Count: 4}
			if err := c.(*net.TCPConn).SetKeepAliveConfig(config); err != nil {
				t.Fatal(err)
			}
			if err := c.(*net.TCPConn).SetKeepAlive(want[0] == 1); err != nil {
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
			var got keepAlive
			raw, err := again.(*net.TCPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			if err := raw.Control(func(fd uintptr) { got = keepAliveOf(int(fd)) }); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}
