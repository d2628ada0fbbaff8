package gateway

import (
	"errors"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// lot is where the up-to-date streams of a shard are parked: a slot in a reactor,
// without a goroutine and without a buffer. An event is tried with one write that
// does not block. Whatever is not that simple takes the stream out and gives it a
// goroutine, until it can be parked again. The goroutine that has the shard's turn
// uses it.
type lot struct {
	g      *Gateway
	r      *reactor.Reactor[stream]
	ignore [4096]byte
}

func newLot(g *Gateway) *lot {
	return &lot{g: g, r: reactor.New[stream](reactor.Nanos(time.Now()))}
}

func (l *lot) open() {
	if err := l.r.Open(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		l.g.log.Warn("connections will not be parked", "error", err)
	}
}

// parked is a stream's place in a lot.
type parked struct {
	slot reactor.Slot // 0: it is not parked; owned by who has the turn of the shard
	fd   int32        // of the client's socket, while no net.Conn has it
	beat int64        // when the next heartbeat is due, in reactor.Nanos
}

// park takes in a stream that is up to date, or was a moment ago.
func (l *lot) park(s *stream) {
	if !l.r.CanWatch() {
		go s.g.driveFD(s, nil, false)
		return
	}
	s.parked.slot = l.r.Add(s)
	if err := l.r.Watch(s.parked.slot, s.parked.fd); err != nil {
		l.g.log.Warn("a connection could not be parked", "error", err)
		l.r.Remove(s.parked.slot)
		s.parked.slot = 0
		go s.g.driveFD(s, nil, false)
		return
	}
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
		due = min(due, reactor.Nanos(end))
	}
	l.r.Schedule(s.parked.slot, due)
}

// forget takes the stream out.
func (l *lot) forget(s *stream) {
	l.r.Remove(s.parked.slot)
	s.parked.slot = 0
	l.g.metrics.ConnectionsParked.Dec()
}

// unpark gives the stream a goroutine, which begins with writing rest.
func (l *lot) unpark(s *stream, rest []byte) {
	l.forget(s)
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
	n, err := reactor.WriteNonblock(s.parked.fd, same.b)
	if err != nil {
		l.end(s, metrics.EndClient)
		return
	}
	s.parked.beat = reactor.Nanos(s.nextBeat(time.Now()))
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

// handle looks at the streams whose clients have sent something, mostly the end.
func (l *lot) handle(events []reactor.Event) {
	l.r.Handle(events, func(s *stream) {
		if l.hasGone(s) {
			l.end(s, metrics.EndClient)
		}
	})
}

func (l *lot) hasGone(s *stream) bool {
	for total := 0; total < maxIgnored; {
		n, err := reactor.ReadNonblock(s.parked.fd, l.ignore[:])
		if n == 0 {
			return err != nil
		}
		total += n
	}
	return true
}

// advance serves the streams whose heartbeat or end is due.
func (l *lot) advance(now time.Time) {
	l.r.Advance(reactor.Nanos(now), func(s *stream) {
		quiet := s.parked.beat <= reactor.Nanos(now)
		if quiet {
			s.parked.beat = reactor.Nanos(s.nextBeat(now))
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
