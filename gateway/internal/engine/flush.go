package engine

import (
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// maxBatchesPerTurn bounds the batches that one parked stream may take in a row
// while others wait for the same goroutine.
const maxBatchesPerTurn = 4

// maxIgnored is how much a client may send at a time on an event stream, where
// nothing that it sends means anything, in bytes.
const maxIgnored = 64 << 10

// nonblocking is a stream whose descriptor is detached, as a sink.
type nonblocking Stream

func (s *nonblocking) write(p []byte) (int, error) { return reactor.WriteNonblock(s.fd, p) }

// flushNonblocking writes what the stream has, without ever blocking. The owner
// calls it while the descriptor is detached. The error means that the client has
// gone.
func (s *Stream) flushNonblocking() (outcome, error) {
	for range maxBatchesPerTurn {
		if o, err := s.step((*nonblocking)(s)); err != nil || o != more {
			return o, err
		}
	}
	return more, nil
}

// The methods below are those of the shard about parked streams. The caller holds
// loopMu.

// park makes the shard the owner of a stream that is up to date, or was a moment
// ago, and whose descriptor is detached.
func (sh *shard) park(s *Stream) {
	s.watched = true
	if sh.reactor.CanWatch() {
		sh.addSlot(s)
		err := sh.reactor.Watch(s.place, s.fd)
		if err == nil {
			s.parked = true
			sh.env.cfg.Metrics.ConnectionsParked.Inc()
			sh.schedule(s, time.Now())
			sh.flush(s) // for what came in between
			return
		}
		sh.env.cfg.Log.Warn("a connection could not be parked", "error", err)
	}
	go s.resumeBlocking(false)
}

// addSlot gives the stream a slot in the reactor, unless it has one.
func (sh *shard) addSlot(s *Stream) {
	if s.place == 0 {
		s.place = sh.reactor.Add(s)
	}
}

// unpark gives the stream a goroutine.
func (sh *shard) unpark(s *Stream) {
	s.parked = false
	sh.env.cfg.Metrics.ConnectionsParked.Dec()
	sh.reactor.Unwatch(s.place)
	sh.schedule(s, time.Now())
	go s.resumeBlocking(true)
}

// endParked ends a parked stream.
func (sh *shard) endParked(s *Stream, reason string) {
	s.parked = false
	sh.env.cfg.Metrics.ConnectionsParked.Dec()
	sh.forget(s)
	s.endDetached(reason)
}

// forget takes the stream out of the reactor for good.
func (sh *shard) forget(s *Stream) {
	if s.gone = true; s.place != 0 {
		sh.reactor.Remove(s.place)
		s.place = 0
	}
}

// flush serves a parked stream.
func (sh *shard) flush(s *Stream) {
	o, err := s.flushNonblocking()
	sh.settle(s, o, err)
}

// settle does what the outcome of a write to a parked stream calls for.
func (sh *shard) settle(s *Stream, o outcome, err error) {
	switch {
	case err != nil:
		sh.endParked(s, metrics.EndClient)
	case o == upToDate:
	case o == mustEnd:
		sh.endParked(s, s.endReason(time.Now()))
	default:
		sh.unpark(s)
	}
}

// send gives a parked stream a batch that it shares with others.
func (sh *shard) send(s *Stream, b *broadcast) {
	form := b.form(s)
	n, err := reactor.WriteNonblock(s.fd, form.wire)
	if err != nil {
		sh.endParked(s, metrics.EndClient)
		return
	}
	s.written(b.counted)
	b.sent(s, form)
	if n < len(form.wire) {
		s.pending = form.rest(n)
		sh.unpark(s)
	}
}

// handle looks at the streams whose clients have sent something, mostly the end.
func (sh *shard) handle(events []reactor.Event) {
	sh.reactor.Handle(events, func(s *Stream) {
		if s.parked && sh.hasGone(s) {
			sh.endParked(s, metrics.EndClient)
		}
	})
}

// hasGone discards what the client of a parked stream has sent, and reports whether
// it has closed the connection, or sends far too much.
func (sh *shard) hasGone(s *Stream) bool {
	for total := 0; total < maxIgnored; {
		n, err := reactor.ReadNonblock(s.fd, sh.discard[:])
		if n == 0 {
			return err != nil
		}
		total += n
	}
	return true
}
