package reactor

import (
	"io"
	"net"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DetachFD takes the socket out of a connection, and so out of Go's poller with
// all the memory that is kept there for it. ok is false if the connection is not
// plain TCP, or if there is no descriptor left; the connection is then unchanged.
// The descriptor is non-blocking and is the caller's to close.
func DetachFD(c net.Conn) (fd int32, ok bool) {
	tcp, is := c.(*net.TCPConn)
	if !is {
		return -1, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return -1, false
	}
	dup := -1
	if cerr := raw.Control(func(fd uintptr) { dup, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); cerr != nil || err != nil {
		return -1, false
	}
	_ = c.Close() // closes one descriptor of two: the connection lives on
	return int32(dup), true
}

// WrapFD makes a connection of a detached socket again, without keep-alive probes,
// which net.FileConn sets. It closes fd, also when it fails.
func WrapFD(fd int32) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	c, err := net.FileConn(f)
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetKeepAlive(false)
	}
	return c, err
}

// WriteNonblock writes as much of b as the socket takes at once.
//
// The system call is raw: it never blocks, and telling the scheduler of it would
// take longer than the write of a small event, because that wakes the thread that
// watches over system calls. BenchmarkWriteNonblock compares the two.
func WriteNonblock(fd int32, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// ReadNonblock reads what has arrived. n is 0 without an error if there is nothing
// yet; the error is io.EOF if the peer has closed its side.
func ReadNonblock(fd int32, b []byte) (n int, err error) {
	for {
		switch n, err = unix.Read(int(fd), b); {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, nil
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// CloseFD closes a detached descriptor.
func CloseFD(fd int32) { _ = unix.Close(int(fd)) }

// DiscardFD closes a detached descriptor and throws away what the peer has not taken.
// The kernel would hold it, and send it again, for minutes.
func DiscardFD(fd int32) {
	_ = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	CloseFD(fd)
}
