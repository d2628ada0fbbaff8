package gateway

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// userTimeout exchanges a connection's TCP_USER_TIMEOUT and returns what it
// was; ok is false if it has none.
//
// The timeout ends connections whose host vanished. But the kernel also counts
// it from the first time on that the client's receive window did not hold what
// waits to be sent, without regard to what the client has taken since: it would
// end a connection that is only slow. So it is off while a write waits, which
// has a deadline of its own.
func userTimeout(c net.Conn, ms int) (was int, ok bool) {
	err := control(c, func(fd int) (err error) {
		if was, err = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); err == nil && was != ms {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms)
		}
		return err
	})
	return was, err == nil
}

// unacknowledged returns how much of what was written to a connection the peer
// does not have yet, in bytes; ok is false if the system does not tell.
func unacknowledged(c net.Conn) (waiting int, ok bool) {
	err := control(c, func(fd int) (err error) {
		waiting, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		return err
	})
	return waiting, err == nil
}

// taken returns how many bytes the peer has acknowledged since the connection
// began, which only grows; ok is false if the system does not tell.
func taken(c net.Conn) (n uint64, ok bool) {
	err := control(c, func(fd int) error {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			n = info.Bytes_acked
		}
		return err
	})
	return n, err == nil
}

// control runs f with the descriptor of a connection, TLS or not.
func control(c net.Conn, f func(fd int) error) error {
	if t, is := c.(*tls.Conn); is {
		c = t.NetConn()
	}
	sc, is := c.(syscall.Conn)
	if !is {
		return errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}
