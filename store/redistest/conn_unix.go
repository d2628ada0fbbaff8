//go:build unix

package redistest

import (
	"errors"
	"net"
	"syscall"
)

// SmallDialer opens connections whose receive buffer (SO_RCVBUF, in bytes; 0 is
// what the system gives) is small, so that little is enough to fill it.
func SmallDialer(receiveBuffer int) *net.Dialer {
	return &net.Dialer{Timeout: settleTimeout, Control: func(_, _ string, c syscall.RawConn) (err error) {
		if receiveBuffer == 0 {
			return nil
		}
		return errors.Join(c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBuffer)
		}), err)
	}}
}
