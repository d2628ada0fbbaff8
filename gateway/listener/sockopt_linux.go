package listener

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// notSentLowat is how much the kernel keeps of what it cannot send yet, per
// connection, in bytes. By default it takes megabytes from a gateway on behalf
// of a client that hardly reads, and reports progress only when a third of that
// is gone, by which time the client seems to take nothing. What is on its way
// to a quick client does not count.
const notSentLowat = 16 << 10

// setSocketOptions sets what a listener's connections inherit. TCP_USER_TIMEOUT is
// not set: it ends a connection that is only slow, because it counts from when
// the receive window was too small for what waits, whatever the peer has acknowledged
// since.
func setSocketOptions(c syscall.RawConn) (err error) {
	if failed := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentLowat)
	}); failed != nil {
		return failed
	}
	return err
}
