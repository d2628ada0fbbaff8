package engine

import (
	"cmp"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/conn"
	"github.com/sse-gateway/sse-gateway/gateway/internal/content"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// maxBatchesPerTurn bounds the batches that one parked stream may take in a row
// while others wait for the same goroutine.
const maxBatchesPerTurn = 4

// nonblocking is a stream whose descriptor is detached, as a sink.
type nonblocking Stream

func (s *nonblocking) Write(p []byte) (int, error) { return reactor.WriteNonblock(s.fd, p) }

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

// park makes the shard the owner of a stream whose descriptor is detached.
func (sh *shard) park(s *Stream) {
	s.parked = true
	if s.place == 0 {
		s.place = sh.reactor.Add(s)
		if err := sh.reactor.Watch(s.place, s.fd); err != nil {
			sh.env.cfg.Log.Warn("a connection was lost", "error", err)
			sh.endParked(s, metrics.EndWriteError)
			return
		}
	} else if sh.hasGone(s) { // nobody looked while a goroutine was the owner
		sh.endParked(s, metrics.EndClient)
		return
	}
	sh.schedule(s, time.Now())
	sh.flush(s) // for what came in between
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
		return
	case o == ended: // or an error has closed it
		sh.endParked(s, cmp.Or(s.endReason(time.Now()), metrics.EndClient))
		return
	}
	sh.countIdle(s, o == upToDate)
	switch o {
	case more:
		sh.tell(s, toBeServed) // others wait for this goroutine, too
	case wouldBlock:
		sh.await(s)
	case behind:
		if !time.Now().Before(s.reader.RetryAt()) {
			s.parked = false
			go s.catchUp()
		} else {
			sh.schedule(s, time.Now())
		}
	}
}

// await has a parked stream served when its socket has room.
func (sh *shard) await(s *Stream) {
	if err := sh.reactor.WatchWrites(s.place); err != nil {
		sh.endParked(s, metrics.EndWriteError)
		return
	}
	sh.schedule(s, time.Now())
}

// catchUp reads history for a stream whose descriptor is detached, and writes it. The
// goroutine that it runs on is the stream's owner meanwhile.
func (s *Stream) catchUp() {
	o := behind
	for o == more || o == behind && s.fetch() {
		var err error
		if o, err = s.flushNonblocking(); err != nil {
			break
		}
	}
	s.shard.tell(s, toBeParked)
}

// countIdle counts whether a parked stream is up to date.
func (sh *shard) countIdle(s *Stream, idles bool) {
	switch {
	case idles && !s.idles:
		sh.env.cfg.Metrics.ConnectionsParked.Inc()
	case !idles && s.idles:
		sh.env.cfg.Metrics.ConnectionsParked.Dec()
	}
	s.idles = idles
}

// endParked ends a parked stream, at once.
func (sh *shard) endParked(s *Stream, reason string) {
	s.parked = false
	sh.countIdle(s, false)
	sh.forget(s)
	if reason == metrics.EndWriteTimeout {
		reactor.DiscardFD(s.fd)
	} else {
		reactor.CloseFD(s.fd)
	}
	s.release(reason)
}

// forget takes the stream out of the reactor for good.
func (sh *shard) forget(s *Stream) {
	if s.gone = true; s.place != 0 {
		sh.reactor.Remove(s.place)
		s.place = 0
	}
}

// takes reports whether a parked stream is to be sent the broadcast next.
func (s *Stream) takes(b *content.Broadcast) bool {
	return b.Fits(&s.reader) && s.pending == nil && !s.closed && s.endReason(b.At) == ""
}

// send gives a parked stream a batch that it shares with others.
func (sh *shard) send(s *Stream, b *content.Broadcast) {
	form := b.Form(&s.reader, s.chunked)
	n, err := reactor.WriteNonblock(s.fd, form.Wire)
	if err != nil {
		sh.endParked(s, metrics.EndClient)
		return
	}
	s.written(b.At)
	if s.reader.Gzip {
		s.sum = s.sum.Join(form.Part)
	}
	b.Sent(&s.reader, form)
	if n < len(form.Wire) {
		s.pending = &unsent{form.Rest(n), reactor.Nanos(b.At)}
		sh.countIdle(s, false)
		sh.await(s)
	}
}

// handle looks at the streams whose clients have sent something, mostly the end, and
// at those whose sockets have room again.
func (sh *shard) handle(events []reactor.Event) {
	sh.reactor.Handle(events, func(s *Stream) {
		switch {
		case !s.parked:
		case sh.hasGone(s):
			sh.endParked(s, metrics.EndClient)
		case s.pending != nil:
			sh.flush(s)
		}
	})
}

// hasGone discards what the client of a parked stream has sent, and reports whether
// it has closed the connection, or sends far too much.
func (sh *shard) hasGone(s *Stream) bool {
	for total := 0; total < conn.MaxIgnored; {
		n, err := reactor.ReadNonblock(s.fd, sh.discard[:])
		if n == 0 {
			return err != nil
		}
		total += n
	}
	return true
}
