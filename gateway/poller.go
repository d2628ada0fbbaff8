//go:build linux

package gateway

import (
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller reports which of many sockets have something to read. It is an epoll
// instance that Go's own poller watches, so that waiting for it takes no
// thread.
type poller struct {
	epfd  int
	file  *os.File // owns epfd
	ready chan []unix.EpollEvent
	ack   chan struct{} // the events were handled and their array is free again
	done  chan struct{} // closed by close
}

// pollerEvents is how many sockets are reported at once.
const pollerEvents = 256

func newPoller() (*poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	// os.NewFile takes only non-blocking descriptors for ones to poll.
	if err := unix.SetNonblock(epfd, true); err != nil {
		_ = unix.Close(epfd)
		return nil, err
	}
	p := &poller{epfd: epfd, file: os.NewFile(uintptr(epfd), "epoll"),
		ready: make(chan []unix.EpollEvent), ack: make(chan struct{}), done: make(chan struct{})}
	conn, err := p.file.SyscallConn()
	if err != nil {
		_ = p.file.Close()
		return nil, err
	}
	go p.run(conn)
	return p, nil
}

// run passes on what the kernel reports until the poller is closed.
func (p *poller) run(conn syscall.RawConn) {
	events := make([]unix.EpollEvent, pollerEvents)
	for {
		n := 0
		err := conn.Read(func(fd uintptr) bool {
			var err error
			n, err = unix.EpollWait(int(fd), events, 0)
			return err == nil && n > 0
		})
		if err != nil {
			return // closed
		}
		select {
		case p.ready <- events[:n]:
		case <-p.done:
			return
		}
		select {
		case <-p.ack:
		case <-p.done:
			return
		}
	}
}

func (p *poller) handled() { p.ack <- struct{}{} }

// add begins to watch a socket. Only changes are reported, so what is reported
// has to be read to its end.
func (p *poller) add(fd int) error {
	return unix.EpollCtl(p.epfd, unix.EPOLL_CTL_ADD, fd,
		&unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: int32(fd)})
}

func (p *poller) remove(fd int) { _ = unix.EpollCtl(p.epfd, unix.EPOLL_CTL_DEL, fd, nil) }

func (p *poller) close() {
	close(p.done)
	_ = p.file.Close()
}

// detach takes the socket out of a connection, and so out of Go's poller with
// all that is kept there for it. ok is false if the connection is not plain
// TCP, or there is no descriptor left; it is then as it was.
func detach(c net.Conn) (fd int32, ok bool) {
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

// attach makes a connection of a detached socket again, with the keep-alive
// settings that it had.
func attach(fd int32) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	was := keepAliveOf(int(fd))
	c, err := net.FileConn(f)
	if err == nil {
		was.restore(int(fd))
	}
	return c, err
}

// keepAliveOptions are the options of a socket that net.FileConn sets to Go's
// own, by which a host that vanished would be missed for minutes.
var keepAliveOptions = [...]struct{ level, name int }{
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE},
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE},
	{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
	{unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
}

// keepAlive has the values of keepAliveOptions.
type keepAlive [len(keepAliveOptions)]int

func keepAliveOf(fd int) (k keepAlive) {
	for i, o := range keepAliveOptions {
		v, err := unix.GetsockoptInt(fd, o.level, o.name)
		if err != nil {
			v = -1 // not TCP
		}
		k[i] = v
	}
	return k
}

func (k keepAlive) restore(fd int) {
	for i, o := range keepAliveOptions {
		if k[i] >= 0 {
			_ = unix.SetsockoptInt(fd, o.level, o.name, k[i])
		}
	}
}

// writeFD writes as much as the socket takes at once. That never blocks, so the
// scheduler is not told of it: for a quiet channel's event that would take
// longer than the write, because it wakes the thread that watches over system
// calls.
func writeFD(fd int32, b []byte) (int, error) {
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

func closeFD(fd int32) { _ = unix.Close(int(fd)) }
