package client

import (
	"container/heap"
	"net"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/clock"
)

// connTimer is due at a time (unix ns): a waiting connection is to be dialled,
// or one that is not answered yet has timed out.
type connTimer struct {
	at   int64
	conn int32
	gen  int32 // the timer is void when the connection's differs
}

// timerHeap is a container/heap of timers, the earliest first.
type timerHeap []connTimer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *timerHeap) Push(x any) { *h = append(*h, x.(connTimer)) }

// Pop implements heap.Interface.
func (h *timerHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// schedule lets an idle connection be dialled at a time (unix ns).
func (e *epollEngine) schedule(i int32, at int64) {
	c := &e.conns[i]
	c.state = connWaiting
	heap.Push(&e.timers, connTimer{at, i, c.gen})
}

func (e *epollEngine) fireTimers(now int64) {
	for len(e.timers) > 0 && e.timers[0].at <= now {
		t := heap.Pop(&e.timers).(connTimer)
		c := &e.conns[t.conn]
		if c.gen != t.gen {
			continue
		}
		switch c.state {
		case connWaiting:
			c.state = connQueued
			e.queue = append(e.queue, t.conn)
		case connConnecting, connHead:
			e.fail(t.conn, "connect: no answer in time")
		}
	}
}

// dialQueued begins connections as far as the limits allow.
func (e *epollEngine) dialQueued() {
	n := 0
	for n < len(e.queue) && n < dialBurst && e.inflight < e.g.cfg.Inflight {
		i := e.queue[n]
		n++
		if e.conns[i].state == connQueued {
			e.dial(i)
		}
	}
	e.queue = e.queue[n:]
}

// dial begins one connection. Its events carry the connection's number and gen.
func (e *epollEngine) dial(i int32) {
	c := &e.conns[i]
	c.gen++
	fd, err := e.connect(i)
	if err != nil {
		// Still connQueued: there is no socket to close.
		e.fail(i, "connect: "+err.Error())
		return
	}
	c.fd, c.state = int32(fd), connConnecting
	e.inflight++
	heap.Push(&e.timers, connTimer{clock.Now() + int64(connectTimeout), i, c.gen})
	ev := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     i, Pad: c.gen,
	}
	if err := unix.EpollCtl(e.ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		e.fail(i, "epoll: "+err.Error())
	}
}

func (e *epollEngine) connect(i int32) (fd int, err error) {
	s := &e.g.subs[i]
	to := e.addrs[e.g.address(s)]
	family := unix.AF_INET
	if _, ok := to.(*unix.SockaddrInet6); ok {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if len(e.sources) > 0 {
		// The port is chosen by connect, per destination: without this bind
		// would take one port for all destinations.
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err == nil {
			err = unix.Bind(fd, e.sources[int(s.index)%len(e.sources)])
		}
	}
	if err == nil {
		err = unix.Connect(fd, to)
	}
	if err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func sockaddr(ip net.IP, port int) unix.Sockaddr {
	if v4 := ip.To4(); v4 != nil {
		return &unix.SockaddrInet4{Port: port, Addr: [4]byte(v4)}
	}
	return &unix.SockaddrInet6{Port: port, Addr: [16]byte(ip.To16())}
}
