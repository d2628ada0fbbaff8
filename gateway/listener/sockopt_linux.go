package listener

import (
	"math"
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

// setSocketOptions has a listener's connections end when peerTimeout has passed
// since something was sent that the peer has not acknowledged, or since its
// receive window closed (TCP_USER_TIMEOUT). Without it the kernel goes on for a
// quarter of an hour, because keep-alive probes are not sent while data is on
// its way.
func setSocketOptions(c syscall.RawConn, peerTimeout time.Duration) error {
	ms := min(max(peerTimeout.Milliseconds(), 1), math.MaxInt32)
	var err error
	if e := c.Control(func(fd uintptr) {
		if err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(ms)); err == nil {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentLowat)
		}
	}); e != nil {
		return e
	}
	return err
}
