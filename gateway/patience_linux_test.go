package gateway

import (
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// lateConn is a connection whose write is over in the moment in which its
// time-out is being switched off.
type lateConn struct {
	*net.TCPConn // only for its socket: its deadlines are of the real time
}

func (lateConn) SetWriteDeadline(time.Time) error { return nil }

func (lateConn) Write(p []byte) (int, error) {
	<-time.After(slowWrite/2 + time.Millisecond)
	return len(p), nil
}

func (c lateConn) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.TCPConn.SyscallConn()
	return lateRawConn{raw}, err
}

type lateRawConn struct{ syscall.RawConn }

func (c lateRawConn) Control(f func(uintptr)) error {
	<-time.After(10 * time.Millisecond)
	return c.RawConn.Control(f)
}

// A connection whose TCP_USER_TIMEOUT is off is not parked: a client whose host
// vanishes would never be missed. That holds for a write, too, that ends just
// when it counts as slow.
func TestTimeoutThatIsSwitchedOffLate(t *testing.T) {
	_, accepted := redistest.Pair(t, redistest.Listen(t))
	server := accepted.(*net.TCPConn)
	const timeout = 12345 * time.Millisecond
	setUserTimeout(t, server, timeout)
	synctest.Test(t, func(t *testing.T) {
		c := newTakenConn(lateConn{server}, true)
		for range 3 {
			if err := c.write([]byte("x"), time.Minute, time.Time{}); err != nil {
				t.Fatal(err)
			}
			parkable := c.parkable()
			redistest.Pass(time.Second) // for whatever still runs
			if off := userTimeoutOf(t, server) == 0; off && parkable {
				t.Error("the time-out of a connection was switched off when it could be parked already")
			}
			// The client has everything.
			c.restoreUserTimeout()
			if !c.parkable() || userTimeoutOf(t, server) != timeout {
				t.Errorf("in the end the time-out is %v, and the connection can be parked: %v", userTimeoutOf(t, server), c.parkable())
			}
		}
	})
}

func setUserTimeout(t *testing.T, c net.Conn, d time.Duration) {
	t.Helper()
	if err := control(c, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	}); err != nil {
		t.Fatal(err)
	}
}

func userTimeoutOf(t *testing.T, c net.Conn) (d time.Duration) {
	t.Helper()
	if err := control(c, func(fd int) error {
		ms, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		d = time.Duration(ms) * time.Millisecond
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return d
}
