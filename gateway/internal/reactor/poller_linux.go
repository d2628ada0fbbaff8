package reactor

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Event says that a socket has something to read, or was closed by the peer.
type Event unix.EpollEvent

// slot returns what poller.add was given.
func (e Event) slot() (Slot, uint32) { return Slot(e.Fd), uint32(e.Pad) }

// poller reports which of many sockets have something to read. It is an epoll
// instance that Go's own poller watches, so that waiting for it occupies no
// thread.
type poller struct {
	epfd  int
	file  *os.File // owns epfd
	ready chan []Event
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
		ready: make(chan []Event), ack: make(chan struct{}), done: make(chan struct{})}
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
	raw := make([]unix.EpollEvent, pollerEvents)
	events := make([]Event, pollerEvents)
	for {
		n := 0
		err := conn.Read(func(fd uintptr) bool {
			var err error
			n, err = unix.EpollWait(int(fd), raw, 0)
			return err == nil && n > 0
		})
		if err != nil {
			return // closed
		}
		for i := range n {
			events[i] = Event(raw[i])
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

// handled gives the array of events back.
func (p *poller) handled() {
	select {
	case p.ack <- struct{}{}:
	case <-p.done:
	}
}

// reads is what is reported of a socket: only changes (EPOLLET).
const reads = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff

// add begins to watch a socket.
func (p *poller) add(fd int32, s Slot, gen uint32) error {
	return unix.EpollCtl(p.epfd, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: reads, Fd: int32(s), Pad: int32(gen)})
}

// addWrites watches a socket for room, too. What has changed before is reported.
func (p *poller) addWrites(fd int32, s Slot, gen uint32) error {
	return unix.EpollCtl(p.epfd, unix.EPOLL_CTL_MOD, int(fd), &unix.EpollEvent{Events: reads | unix.EPOLLOUT, Fd: int32(s), Pad: int32(gen)})
}

func (p *poller) remove(fd int32) { _ = unix.EpollCtl(p.epfd, unix.EPOLL_CTL_DEL, int(fd), nil) }

func (p *poller) close() {
	close(p.done)
	_ = p.file.Close()
}
