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
	if n, err = s.transfer("read", syscall.SYS_READ, s.raw.Read, p); n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// Write is like that of net.Conn.
func (s socket) Write(p []byte) (n int, err error) {
	if s.raw == nil {
		return s.Conn.Write(p)
	}
	for n < len(p) && err == nil {
		var m int
		m, err = s.transfer("write", syscall.SYS_WRITE, s.raw.Write, p[n:])
		n += m
	}
	return n, err
}

// transfer makes a system call that reads into or writes from p as soon as it does
// not block. n is 0 if it failed.
func (s socket) transfer(op string, call uintptr, whenReady func(func(fd uintptr) (done bool)) error, p []byte) (n int, err error) {
	var errno syscall.Errno
	err = whenReady(func(fd uintptr) bool {
		errno = syscall.EINTR
		for errno == syscall.EINTR {
			var r uintptr
			r, _, errno = syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
			n = int(r)
		}
		return errno != syscall.EAGAIN
	})
	switch {
	case err != nil:
		return 0, err
	case errno != 0:
		return 0, &net.OpError{Op: op, Net: s.LocalAddr().Network(), Addr: s.RemoteAddr(), Err: os.NewSyscallError(op, errno)}
	}
	return n, nil
}
