//go:build linux

package gateway

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// canPark tells that streams over plain TCP can be parked on this system.
const canPark = true

// lot is where the up-to-date streams of a shard are parked: a descriptor in a
// poller and a place in a timer wheel, without a goroutine and without a
// buffer. An event is tried with one write that does not block; whatever is
// not that simple takes the stream out and gives it a goroutine, until it can
// be parked again. The goroutine that has the shard's turn uses it.
type lot struct {
	g      *Gateway
	poller *poller // nil before open, and if there is none to be had
	wheel  *wheel
	byFD   []*stream // indexed by descriptor
	ignore [4096]byte
}

func newLot(g *Gateway) *lot { return &lot{g: g, wheel: newWheel(monotonic(time.Now()))} }

// open starts the poller: not newLot, because a gateway that is made and never
// run would leave its goroutine and its descriptor behind.
func (l *lot) open() {
	p, err := newPoller()
	if err != nil {
		l.g.log.Warn("connections will not be parked", "error", err)
		return
	}
	l.poller = p
}

// parked is a stream's place in a lot.
type parked struct {
	in         bool  // owned by who has the turn of the shard
	fd         int32 // of the client's socket, while no net.Conn has it
	due        int64 // in the wheel, in ticks
	beat       int64 // when the next heartbeat is due, by the monotonic clock
	prev, next *stream
}

// ready returns the channel on which the poller reports.
func (l *lot) ready() <-chan []unix.EpollEvent {
	if l.poller == nil {
		return nil
	}
	return l.poller.ready
}

func (l *lot) close() {
	if l.poller != nil {
		l.poller.close()
	}
}

// park takes in a stream that is up to date, or was a moment ago.
func (l *lot) park(s *stream) {
	if l.poller == nil {
		go s.g.driveFD(s, nil, false)
		return
	}
	fd := int(s.parked.fd)
	if err := l.poller.add(fd); err != nil {
		l.g.log.Warn("a connection could not be parked", "error", err)
		go s.g.driveFD(s, nil, false)
		return
	}
	for fd >= len(l.byFD) {
		l.byFD = append(l.byFD, make([]*stream, max(1024, len(l.byFD)))...)
	}
	l.byFD[fd] = s
	s.parked.in = true
	l.g.metrics.ConnectionsParked.Inc()
	l.schedule(s, time.Now())
	l.pump(s) // for what came in between
}

// schedule puts the stream into the wheel for whatever comes first, as far as
// the clock tells now: a grant ends by a clock that may be set, and so advance
// looks again with every heartbeat.
func (l *lot) schedule(s *stream, now time.Time) {
	due := s.parked.beat
	if end := s.endsAt(now); !end.IsZero() {
		due = min(due, monotonic(end))
	}
	l.wheel.add(s, due)
}

// forget takes the stream out.
func (l *lot) forget(s *stream) {
	l.wheel.remove(s)
	l.byFD[s.parked.fd] = nil
	s.parked.in = false
	l.g.metrics.ConnectionsParked.Dec()
}

// unpark gives the stream a goroutine, which begins with writing rest.
func (l *lot) unpark(s *stream, rest []byte) {
	l.forget(s)
	l.poller.remove(int(s.parked.fd))
	go s.g.driveFD(s, rest, true)
}

// end ends the stream.
func (l *lot) end(s *stream, reason string) {
	l.forget(s)
	s.g.endFD(s, reason)
}

// pump serves a parked stream.
func (l *lot) pump(s *stream) { l.settle(s, nil) }

// send gives a parked stream a batch that it shares with others.
func (l *lot) send(s *stream, same *shared) {
	n, err := writeFD(s.parked.fd, same.b)
	if err != nil {
		l.end(s, metrics.EndClient)
		return
	}
	s.parked.beat = monotonic(s.nextBeat(time.Now()))
	same.took(l.g, s)
	if n < len(same.b) {
		l.unpark(s, same.rest(n))
	}
}

// settle writes b, pumps, and does what the outcome calls for.
func (l *lot) settle(s *stream, b []byte) {
	switch rest, result := s.pump(b); result {
	case pumpIdle:
	case pumpGone:
		l.end(s, metrics.EndClient)
	case pumpEnd:
		l.end(s, s.ended(time.Now()))
	default:
		l.unpark(s, rest)
	}
}

// handle looks at the streams whose clients have sent something, mostly the
// end.
func (l *lot) handle(events []unix.EpollEvent) {
	for i := range events {
		if s := l.byFD[events[i].Fd]; s != nil && l.hasGone(s) {
			l.end(s, metrics.EndClient)
		}
	}
	l.poller.handled()
}

func (l *lot) hasGone(s *stream) bool {
	for total := 0; total < maxIgnored; {
		n, err := unix.Read(int(s.parked.fd), l.ignore[:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return false
		case err != nil || n == 0:
			return true
		default:
			total += n
		}
	}
	return true
}

// advance serves the streams whose heartbeat or end is due.
func (l *lot) advance(now time.Time) {
	l.wheel.advance(monotonic(now), func(s *stream) {
		quiet := s.parked.beat <= monotonic(now)
		if quiet {
			s.parked.beat = monotonic(s.nextBeat(now))
		}
		l.schedule(s, now) // everything below expects it in the wheel
		switch reason := s.outlived(now); {
		case reason != "":
			l.end(s, reason)
		case quiet:
			l.g.countWrite(len(sse.Heartbeat))
			l.settle(s, []byte(sse.Heartbeat))
		}
	})
}
