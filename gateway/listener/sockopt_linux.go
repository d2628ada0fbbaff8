package listener

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// notSentLowat is how much the kernel keeps of what it cannot send yet, per
// connection, in bytes. By default it takes megabytes from a gateway on behalf
// of a client that hardly reads, and reports progress only when a third of that
// is gone, by which time the client seems to take nothing. What is on its way
// to a quick client does not count.
const notSentLowat = 16 << 10

// setSocketOptions sets what a listener's connections inherit. TCP_USER_TIMEOUT is
// not among it: it ends a connection that is only slow, because it counts from when
// the receive window was too small for what waits, whatever the peer has acknowledged
// since.
func setSocketOptions(c syscall.RawConn, keepAlive net.KeepAliveConfig) error {
	options := []struct{ level, name, value int }{
		{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentLowat},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds(keepAlive.Idle)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds(keepAlive.Interval)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAlive.Count},
	}
	var failed error
	err := c.Control(func(fd uintptr) {
		for _, o := range options {
			failed = errors.Join(failed, unix.SetsockoptInt(int(fd), o.level, o.name, o.value))
		}
	})
	return errors.Join(err, failed)
}

// seconds rounds up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
