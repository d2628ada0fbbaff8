package resp

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// socket is a connection whose reads and writes, where it is one of plain TCP or
// a Unix one, bypass the scheduler. They never block, and to announce each to the
// scheduler costs more than the call: without this, BenchmarkTail of package store
// takes 1.6 times as much processor time per event. Waiting is the network
// poller's, as ever.
type socket struct {
	net.Conn
	raw syscall.RawConn // nil: the connection is used as it is
}

func newSocket(conn net.Conn) socket {
	s := socket{Conn: conn}
	if c, ok := conn.(syscall.Conn); ok {
		s.raw, _ = c.SyscallConn()
	}
	return s
}

// Read is like that of net.Conn.
func (s socket) Read(p []byte) (n int, err error) {
	if s.raw == nil || len(p) == 0 {
		return s.Conn.Read(p)
	}
	var errno syscall.Errno
	err = s.raw.Read(func(fd uintptr) bool {
		n, errno = rawIO(syscall.SYS_READ, fd, p)
		return errno != syscall.EAGAIN
	})
	switch {
	case err != nil:
		return 0, err
	case errno != 0:
		return 0, &net.OpError{Op: "read", Net: s.LocalAddr().Network(), Addr: s.RemoteAddr(), Err: os.NewSyscallError("read", errno)}
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write is like that of net.Conn.
func (s socket) Write(p []byte) (n int, err error) {
	if s.raw == nil {
		return s.Conn.Write(p)
	}
	for n < len(p) {
		var errno syscall.Errno
		err = s.raw.Write(func(fd uintptr) bool {
			var m int
			m, errno = rawIO(syscall.SYS_WRITE, fd, p[n:])
			n += m
			return errno != syscall.EAGAIN
		})
		if err != nil {
			return n, err
		}
		if errno != 0 {
			return n, &net.OpError{Op: "write", Net: s.LocalAddr().Network(), Addr: s.RemoteAddr(), Err: os.NewSyscallError("write", errno)}
		}
	}
	return n, nil
}

// rawIO makes a system call that reads into or writes from p and does not
// block. n is 0 if it failed.
func rawIO(call, fd uintptr, p []byte) (n int, errno syscall.Errno) {
	for {
		r, _, e := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch e {
		case 0:
			return int(r), 0
		case syscall.EINTR:
		default:
			return 0, e
		}
	}
}
