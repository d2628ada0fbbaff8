package gateway

import (
	"slices"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
)

// pumpResult is how far a stream got without waiting for anything.
type pumpResult uint8

const (
	pumpIdle  pumpResult = iota // it is up to date: it can be parked
	pumpFull                    // the client does not take more at the moment
	pumpStuck                   // it needs history, or more turns than are its share
	pumpGone                    // the client has gone
	pumpEnd                     // it has to end: see stream.ended
)

// pumpTurns bounds the batches that one stream may take in a row while others
// wait for the same goroutine.
const pumpTurns = 4

// pump writes b and then what the stream has, without ever blocking, and
// returns what of that is left to be written if the client's socket is full.
// The owner of the stream calls it, with the stream's descriptor detached.
func (s *stream) pump(b []byte) (rest []byte, result pumpResult) {
	if len(b) > 0 {
		if rest, result = s.writeNow(b); result != pumpIdle {
			return rest, result
		}
	}
	for range pumpTurns {
		now := time.Now()
		if s.ended(now) != "" {
			return nil, pumpEnd
		}
		if s.idle() {
			return nil, pumpIdle
		}
		out := s.begin()
		var state fillState
		out.b, state = s.fill(out.b)
		if n := len(out.b) + len(s.large); n > 0 {
			rest, result = s.writeBothNow(out.b)
			if result != pumpGone {
				out.count(s.g.metrics, n, 1, now)
			}
		}
		s.finish()
		switch {
		case result != pumpIdle:
			return rest, result
		case state == fillBehind:
			return nil, pumpStuck
		case state == fillIdle:
			return nil, pumpIdle
		}
	}
	return nil, pumpStuck
}

// writeBothNow is writeNow for b and the large frame that belongs after it, of
// which what is left stays where it is.
func (s *stream) writeBothNow(b []byte) (rest []byte, result pumpResult) {
	if len(b) > 0 {
		if rest, result = s.writeNow(b); result != pumpIdle {
			return rest, result
		}
	}
	if len(s.large) == 0 {
		return nil, pumpIdle
	}
	n, err := reactor.WriteNonblock(s.parked.fd, s.large)
	if err != nil {
		return nil, pumpGone
	}
	s.parked.beat = reactor.Nanos(s.nextBeat(time.Now()))
	if s.large = s.large[n:]; len(s.large) > 0 {
		return nil, pumpFull
	}
	s.large = nil
	return nil, pumpIdle
}

// writeNow writes what the client's socket takes.
func (s *stream) writeNow(b []byte) (rest []byte, result pumpResult) {
	n, err := reactor.WriteNonblock(s.parked.fd, b)
	if err != nil {
		return nil, pumpGone
	}
	s.parked.beat = reactor.Nanos(s.nextBeat(time.Now()))
	if n < len(b) {
		return slices.Clone(b[n:]), pumpFull
	}
	return nil, pumpIdle
}
