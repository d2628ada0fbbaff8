package listener

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/gateway/internal/head"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
)

// front accepts connections and keeps them in a reactor until they have sent
// something that can be acted on: a silent connection costs a descriptor, a slot,
// and a socket, and no goroutine. What has sent the head of a request goes to the
// workers.
type front struct {
	l       *Listener
	file    *os.File // a duplicate of the listener's descriptor
	workers workers[*socket]
	signal  chan struct{} // capacity 1: something is scheduled

	// mu guards reactor, closed, and slot, gone and decided of each socket. Invariant: a socket
	// has a slot while nothing else owns it, or while somebody wants to know
	// whether its client goes.
	mu      sync.Mutex
	reactor *reactor.Reactor[socket]
	closed  bool
}

// socket is an accepted connection without a net.Conn. It has one owner at a
// time: front, or a worker.
type socket struct {
	fd       int32
	slot     reactor.Slot
	proxied  bool // a PROXY header has to come
	trusted  bool // the client is a proxy
	plain    bool // head is the whole head of a plain GET
	accepted int64
	place    *place
	peer     netip.AddrPort
	source   *net.TCPAddr // the client, as a PROXY header names it; nil: peer
	head     []byte       // what has been read, behind the PROXY header
	gone     func()       // called when the client goes; nil while front is the owner
	decided  bool         // nobody wants to know any more whether the client goes
}

// startReactor accepts in a reactor. It reports false, and does nothing, if the
// listener has no descriptor or there is no epoll instance to be had.
func (l *Listener) startReactor() bool {
	tcp, ok := l.Listener.(*net.TCPListener)
	if !ok {
		return false
	}
	file, err := tcp.File()
	if err != nil {
		return false
	}
	raw, err := file.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // accepted sockets inherit it
		})
	}
	f := &front{l: l, file: file, signal: make(chan struct{}, 1), reactor: reactor.New[socket](reactor.Nanos(time.Now()))}
	if err != nil || f.reactor.Open() != nil {
		_ = file.Close()
		return false
	}
	f.workers.work = f.work
	l.running.Go(func() { f.accept(raw) })
	l.running.Go(f.run)
	return true
}

// Nothing is accepted for minAcceptPause after that has failed, for want of
// descriptors as a rule, and for twice as long each time until maxAcceptPause: as
// net/http does it.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// accept accepts until the listener is closed.
func (f *front) accept(raw syscall.RawConn) {
	buffer := make([]byte, maxHead)
	for pause := minAcceptPause; ; {
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			for {
				n, from, err := unix.Accept4(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
				switch err {
				case nil:
					pause = minAcceptPause
					f.admit(int32(n), from, buffer)
				case unix.EINTR, unix.ECONNABORTED:
				case unix.EAGAIN:
					return false
				default:
					failed = err
					return true
				}
			}
		})
		if err != nil {
			return // closed
		}
		f.l.cfg.Log.Warn("no connection can be accepted", "error", failed, "pause", pause)
		select {
		case <-time.After(pause):
			pause = min(2*pause, maxAcceptPause)
		case <-f.l.closed:
			return
		}
	}
}

// admit takes a place for a new connection, and reads what it has sent.
func (f *front) admit(fd int32, from unix.Sockaddr, buffer []byte) {
	peer := addrPortOf(from)
	s := &socket{fd: fd, peer: peer, accepted: reactor.Nanos(time.Now())}
	if s.place = f.l.pending.admit(peer.Addr()); s.place == nil {
		reactor.DiscardFD(fd) // see Listener
		return
	}
	s.trusted = isTrusted(f.l.cfg.TrustedProxies, peer.Addr())
	s.proxied = s.trusted && f.l.cfg.ProxyProtocol
	f.mu.Lock()
	defer f.mu.Unlock()
	f.receive(s, buffer)
}

// addrPortOf returns the address without zone.
func addrPortOf(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// run serves the reactor until the listener is closed.
func (f *front) run() {
	buffer := make([]byte, maxHead)
	tick := time.NewTicker(reactor.Tick)
	defer tick.Stop()
	for {
		select {
		case events := <-f.reactor.Ready():
			f.mu.Lock()
			f.reactor.Handle(events, func(s *socket) { f.handle(s, buffer) })
			f.mu.Unlock()
		case now := <-tick.C:
			f.mu.Lock()
			f.reactor.Advance(reactor.Nanos(now), f.drop)
			idle := f.reactor.Scheduled() == 0
			f.mu.Unlock()
			if idle {
				tick.Stop()
			}
		case <-f.signal:
			tick.Reset(reactor.Tick)
		case <-f.l.closed:
			f.close()
			return
		}
	}
}

// close ends the reactor, and what is in it. Requests that are being decided go
// on.
func (f *front) close() {
	_ = f.file.Close() // ends accept
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	// Everything that waits for a head is scheduled within HeadTimeout.
	f.reactor.Advance(reactor.Nanos(time.Now().Add(HeadTimeout+reactor.MaxLate)), f.drop)
	f.reactor.Close()
}

// handle looks at a socket on which something has happened. The caller holds mu.
func (f *front) handle(s *socket, buffer []byte) {
	if s.gone == nil {
		f.receive(s, buffer)
		return
	}
	var b [1]byte
	if n, _, err := unix.Recvfrom(int(s.fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT); n == 0 && err == nil || err != nil && err != unix.EAGAIN && err != unix.EINTR {
		s.gone()
	}
}

// receive reads what a socket has sent, and passes it on if that can be acted on.
// The caller holds mu.
func (f *front) receive(s *socket, buffer []byte) {
	for {
		room := buffer[:maxHead-len(s.head)]
		n, err := reactor.ReadNonblock(s.fd, room)
		s.head = append(s.head, room[:n]...)
		if err == nil && s.proxied && n > 0 {
			if err = f.takeProxyHeader(s); err != nil {
				f.l.cfg.Log.Debug("a connection was closed: no PROXY header from an address in SSE_TRUSTED_PROXIES", "peer", s.peer, "error", err)
			}
		}
		if err != nil && (s.proxied || len(s.head) == 0) {
			f.drop(s)
			return
		}
		switch kind := f.kindOf(s); {
		case kind != head.Incomplete || err != nil: // with half a head and no more to come, net/http answers that
			f.forget(s)
			s.plain = kind == head.Plain
			f.l.deciding.Add(1)
			f.workers.submit(s)
			return
		case n == 0 || s.slot == 0: // there is no more, or it is reported when the watching begins
			f.keep(s)
			return
		}
	}
}

// kindOf tells what a socket has sent.
func (f *front) kindOf(s *socket) head.Kind {
	switch {
	case s.proxied || len(s.head) == 0:
		return head.Incomplete
	case f.l.cfg.TLS:
		return head.Other
	}
	return head.Classify(s.head)
}

// takeProxyHeader parses the PROXY header, if all of it is there, and counts the
// connection as its client's. s.proxied is false afterwards.
func (f *front) takeProxyHeader(s *socket) error {
	source, n, err := parseProxyHeader(s.head)
	if err != nil || n == 0 {
		return err
	}
	if source != nil {
		addr := addrOf(source)
		if !s.place.attribute(addr) {
			return errTooManyPending
		}
		s.source, s.trusted = source, isTrusted(f.l.cfg.TrustedProxies, addr)
	}
	s.proxied, s.head = false, s.head[n:]
	return nil
}

// keep has the socket stay in the reactor until more comes, or until its time is
// over.
func (f *front) keep(s *socket) {
	if s.slot != 0 {
		return
	}
	if !f.reactor.CanWatch() {
		f.drop(s) // closed
		return
	}
	s.slot = f.reactor.Add(s)
	if err := f.reactor.Watch(s.slot, s.fd); err != nil {
		f.l.cfg.Log.Warn("a connection could not be watched", "error", err)
		f.drop(s)
		return
	}
	f.reactor.Schedule(s.slot, s.accepted+int64(HeadTimeout))
	if f.reactor.Scheduled() == 1 {
		select {
		case f.signal <- struct{}{}:
		default:
		}
	}
}

// forget takes a socket out of the reactor. The caller holds mu.
func (f *front) forget(s *socket) {
	if s.slot != 0 {
		f.reactor.Remove(s.slot)
		s.slot = 0
	}
}

// drop closes a socket. The caller holds mu.
func (f *front) drop(s *socket) {
	f.forget(s)
	if f.closed {
		reactor.DiscardFD(s.fd) // see Listener
	} else {
		reactor.CloseFD(s.fd)
	}
	s.place.leave()
}

// work does what the bytes of a socket call for.
func (f *front) work(w *worker, s *socket) {
	defer f.l.deciding.Done()
	if s.plain && f.l.cfg.IsStream != nil {
		if r, err := head.Parse(s.head); err == nil && f.l.cfg.IsStream(r) {
			f.decide(w, s, r)
			return
		}
	}
	f.handOver(s, nil)
}

// handOver gives a socket to net/http, with what was read from it and, if its
// first request was decided already, the answer to it.
func (f *front) handOver(s *socket, a *answer) {
	c, err := reactor.WrapFD(s.fd)
	if err != nil {
		f.l.cfg.Log.Warn("a connection was lost", "error", err)
		s.place.leave()
		return
	}
	var remote net.Addr = s.source
	if s.source == nil {
		remote = c.RemoteAddr()
	}
	f.l.serve(&conn{TCPConn: c.(*net.TCPConn), place: s.place, remote: remote, prefix: s.head, answer: a},
		s.trusted, reactor.Time(s.accepted+int64(HeadTimeout)))
}
