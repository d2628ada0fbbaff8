package client

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/clock"
)

// EpollSupported tells whether this system has the epoll engine.
const EpollSupported = true

const (
	// loopBuffer is the read buffer that all connections of a loop share, in bytes.
	loopBuffer = 256 << 10
	// loopEvents is how many ready sockets one wake-up takes; what it brings is
	// handled under the group's mu, so it also bounds how long that is held.
	loopEvents = 256
	// dialBurst is how many connections are begun before sockets are read again.
	dialBurst = 64
)

type connState uint8

const (
	connIdle       connState = iota
	connWaiting              // a timer will queue it for dialling
	connQueued               // due, and in dialQueue
	connConnecting           // SYN sent
	connHead                 // request sent
	connOpen                 // response head seen
)

// epollConn is the socket of one subscriber.
type epollConn struct {
	fd    int32
	gen   int32 // rises with every change of use, so that stale events and timers are told
	state connState
}

// epollEngine drives all sockets of a group from one goroutine with
// edge-triggered epoll.
type epollEngine struct {
	g       *group
	ep      int
	wake    int // eventfd; written when open or close changed something
	done    chan struct{}
	addrs   map[*target]unix.Sockaddr
	sources []unix.Sockaddr

	// Guarded by g.mu.
	conns    []epollConn
	timers   timerHeap
	queue    []int32          // subscribers to dial, in order
	inflight int              // connections between SYN and response head
	rests    map[int32][]byte // of requests that did not fit the socket buffer
	closed   bool

	// Owned by the loop while it holds g.mu.
	buf []byte
	req []byte
}

func newEpollEngine(g *group) (engine, error) {
	e := &epollEngine{
		g: g, done: make(chan struct{}), addrs: map[*target]unix.Sockaddr{}, rests: map[int32][]byte{},
		conns: make([]epollConn, len(g.subs)), buf: make([]byte, loopBuffer),
	}
	for _, list := range [][]target{g.targets, g.returns} {
		for i := range list {
			e.addrs[&list[i]] = sockaddr(list[i].addr.IP, list[i].addr.Port)
		}
	}
	for i := range g.cfg.Sources {
		e.sources = append(e.sources, sockaddr(g.cfg.sourceIP(i), 0))
	}
	var err error
	if e.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if e.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(e.ep)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}
	if err := unix.EpollCtl(e.ep, unix.EPOLL_CTL_ADD, e.wake, &ev); err != nil {
		_ = unix.Close(e.ep)
		_ = unix.Close(e.wake)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	go e.loop()
	return e, nil
}

func (e *epollEngine) open() {
	e.g.mu.Lock()
	now := clock.Now()
	for i := range e.conns {
		if e.conns[i].state == connIdle && e.g.subs[i].phase != phaseClosed {
			e.schedule(int32(i), now)
		}
	}
	e.g.mu.Unlock()
	e.nudge()
}

func (e *epollEngine) leave(n int) {
	e.g.mu.Lock()
	defer e.g.mu.Unlock()
	for i := range n {
		e.release(int32(i)) // which makes its timers and its place in the queue void
		e.g.subs[i].leave()
	}
}

func (e *epollEngine) close() {
	e.leave(len(e.conns))
	e.g.mu.Lock()
	e.closed = true
	e.g.mu.Unlock()
	e.nudge()
	<-e.done
	_ = unix.Close(e.ep)
	_ = unix.Close(e.wake)
}

func (e *epollEngine) nudge() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(e.wake, one[:])
}

func (e *epollEngine) loop() {
	defer close(e.done)
	events := make([]unix.EpollEvent, loopEvents)
	timeout := -1
	for {
		n, err := unix.EpollWait(e.ep, events, timeout)
		if err != nil && err != unix.EINTR {
			panic("sse-bench: epoll_wait: " + err.Error()) // cannot happen on our own descriptor
		}
		e.g.mu.Lock()
		if e.closed {
			e.g.mu.Unlock()
			return
		}
		for _, ev := range events[:max(n, 0)] {
			e.handle(ev)
		}
		e.fireTimers(clock.Now())
		e.dialQueued()
		timeout = e.timeout(clock.Now())
		e.g.mu.Unlock()
	}
}

// timeout returns how long the loop may sleep, in ms.
func (e *epollEngine) timeout(now int64) int {
	if len(e.queue) > 0 && e.inflight < e.g.cfg.Inflight {
		return 0
	}
	if len(e.timers) == 0 {
		return -1
	}
	const ms = int64(time.Millisecond)
	return int(max((e.timers[0].at-now+ms-1)/ms, 0))
}

func (e *epollEngine) handle(ev unix.EpollEvent) {
	if ev.Fd < 0 {
		var b [8]byte
		_, _ = unix.Read(e.wake, b[:])
		return
	}
	i := ev.Fd
	c := &e.conns[i]
	if c.gen != ev.Pad {
		return // of a socket that was closed earlier in this batch
	}
	if c.state == connConnecting {
		if ev.Events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			return
		}
		if errno, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || errno != 0 {
			e.fail(i, "connect: "+unix.Errno(errno).Error())
			return
		}
		c.state = connHead
		e.req = e.g.subs[i].request(e.req[:0])
		if !e.send(i, c, e.req) {
			return
		}
	} else if rest := e.rests[i]; rest != nil && !e.send(i, c, rest) {
		return
	}
	if ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		e.read(i, c, ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
}

// send writes what is left of the request; false if the connection failed.
func (e *epollEngine) send(i int32, c *epollConn, left []byte) bool {
	n, err := unix.Write(int(c.fd), left)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		n = 0
	case err != nil:
		e.fail(i, "write: "+err.Error())
		return false
	}
	delete(e.rests, i)
	if n < len(left) {
		e.rests[i] = bytes.Clone(left[n:]) // e.req is shared
	}
	return true
}

// read takes all that the socket has. Edge-triggered epoll allows to stop at a
// short read, unless the end of the stream is already behind it.
func (e *epollEngine) read(i int32, c *epollConn, ending bool) {
	s := &e.g.subs[i]
	for {
		n, err := unix.Read(int(c.fd), e.buf)
		switch {
		case err == unix.EAGAIN:
			return
		case err == unix.EINTR:
			continue
		case err != nil:
			e.fail(i, "read: "+err.Error())
			return
		case n == 0:
			e.fail(i, "")
			return
		}
		if s.feed(e.buf[:n], clock.Now()) {
			e.fail(i, "")
			return
		}
		if c.state == connHead && s.phase == phaseBody {
			c.state = connOpen
			e.inflight--
		}
		if n < len(e.buf) && !ending {
			return
		}
	}
}

// fail ends an attempt or a stream and schedules what follows.
func (e *epollEngine) fail(i int32, fault string) {
	e.release(i)
	if after, again := e.g.subs[i].ended(fault); again {
		e.schedule(i, clock.Now()+int64(after))
	}
}

// release closes the socket, if there is one, and makes the connection idle.
func (e *epollEngine) release(i int32) {
	c := &e.conns[i]
	switch c.state {
	case connConnecting, connHead:
		e.inflight--
		_ = unix.Close(int(c.fd))
	case connOpen:
		_ = unix.Close(int(c.fd))
	}
	delete(e.rests, i)
	c.state = connIdle
	c.gen++
}
