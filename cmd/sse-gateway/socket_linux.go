package main

import (
	"math"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unsentLimit is how much the kernel keeps of what it cannot send yet, per
// connection, in bytes. Left to itself it takes megabytes from a gateway on
// behalf of a client that hardly reads, and tells of progress only when a third
// of that is gone, by which time the client seems to take nothing. What is on
// its way to a quick client does not count.
const unsentLimit = 16 << 10

// setSocketOptions has a listener's connections end when silence has passed
// since something was sent that the peer has not acknowledged, or since its
// receive window closed (TCP_USER_TIMEOUT). Without it the kernel goes on for a
// quarter of an hour, because keep-alive probes are not sent while data is on
// its way.
func setSocketOptions(c syscall.RawConn, silence time.Duration) error {
	ms := min(max(silence.Milliseconds(), 1), math.MaxInt32)
	var err error
	if e := c.Control(func(fd uintptr) {
		if err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(ms)); err == nil {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLimit)
		}
	}); e != nil {
		return e
	}
	return err
}
