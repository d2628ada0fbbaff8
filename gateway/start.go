package gateway

import (
	"net"
	"net/http"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
)

// enter counts a stream among the open ones. It is false if it came too late:
// it was admitted before the drain began, and was opened when it was over.
func (g *Gateway) enter(s *stream) bool {
	g.starting.RLock()
	defer g.starting.RUnlock()
	if g.stopping {
		return false
	}
	g.streams.Add(1)
	s.shard.add(s)
	return true
}

// start answers with the stream, which has entered. An HTTP/1.1 connection is taken over, which
// lets go of all that net/http keeps for it; if it is plain TCP it is parked,
// where the system allows that. Otherwise the stream gets a goroutine; for
// HTTP/2 that is the caller's, and start returns when the stream has ended.
func (g *Gateway) start(w http.ResponseWriter, r *http.Request, s *stream, unknown bool) {
	g.metrics.ConnectionsOpened.Inc()
	if r.ProtoMajor == 1 {
		head := responseHead(w.Header())
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = c.SetDeadline(time.Time{})
			if around, ok := c.(interface{ Unwrap() net.Conn }); ok {
				c = around.Unwrap() // the listener's part is over; unlike TLS, it leaves the bytes as they are
			}
			s.taken = true
			g.takenOver.Add(1)
			g.startTaken(c, s, s.opening(head, unknown))
			return
		}
	}
	if pending, ok := w.(interface{ BeginStream() }); ok {
		pending.BeginStream() // from now on the deadlines are the stream's own
	}
	setStreamHeaders(w.Header())
	w.WriteHeader(http.StatusOK)
	clear(r.Header) // cookies and tokens: the server keeps the request for as long as the stream lives
	g.run(s, newResponseConn(w, r), s.opening(nil, unknown))
}

// readySize is about how many bytes the ready frame of one channel has.
const readySize = 192

// opening is what a stream begins with.
func (s *stream) opening(head []byte, unknown bool) []byte {
	// Not one of the pool: it is small, and a storm of clients would make the
	// pool allocate large ones for all of them at once.
	s.out = &batch{b: make([]byte, 0, len(head)+readySize)}
	b := appendRetry(append(s.out.b, head...), s.g.cfg.Retry)
	if unknown {
		b = s.appendUnknown(b)
	}
	b = s.appendReady(b)
	s.out.count(s.g.metrics, len(b), 1, time.Now())
	s.out = nil
	return b
}

// startTaken starts a stream on a connection that was taken over.
func (g *Gateway) startTaken(c net.Conn, s *stream, opening []byte) {
	fd, ok := int32(-1), false
	if !g.cfg.NoParking {
		fd, ok = reactor.DetachFD(c)
	}
	if !ok {
		// A new goroutine: the caller's has a stack that has grown, and keeps
		// the request alive.
		go g.run(s, newTakenConn(c, false), opening)
		return
	}
	s.parked.fd = fd
	switch rest, result := s.pump(opening); result {
	case pumpIdle:
		s.shard.arrive(s)
	case pumpGone, pumpEnd:
		g.endFD(s, s.reasonNow())
	default:
		go g.driveFD(s, rest, true)
	}
}

// run drives a stream to its end.
func (g *Gateway) run(s *stream, c conn, opening []byte) {
	reason := s.drive(c, opening)
	c.close()
	g.finish(s, reason)
}

// driveFD drives a stream that was parked, or might have been, until it can be
// parked again or ends; if it cannot be parked at all, to its end.
func (g *Gateway) driveFD(s *stream, rest []byte, park bool) {
	c, err := reactor.WrapFD(s.parked.fd)
	if err != nil {
		g.log.Warn("a connection was lost", "error", err)
		g.finish(s, s.endOf(err))
		return
	}
	taken := newTakenConn(c, park)
	reason := s.drive(taken, rest)
	if reason == "" {
		if fd, ok := reactor.DetachFD(c); ok {
			s.driver.Store(nil)
			s.parked.fd = fd
			s.shard.arrive(s)
			return
		}
		taken.park = false // no descriptor to be had: it keeps its goroutine
		reason = s.drive(taken, nil)
	}
	taken.close()
	g.finish(s, reason)
}

// endFD ends a stream whose descriptor is detached.
func (g *Gateway) endFD(s *stream, reason string) {
	if b := s.appendFarewell(nil, reason); len(b) > 0 {
		_, _ = reactor.WriteNonblock(s.parked.fd, b)
	}
	reactor.CloseFD(s.parked.fd)
	g.finish(s, reason)
}

// finish cleans up after a stream.
func (g *Gateway) finish(s *stream, reason string) {
	s.driver.Store(nil)
	s.shard.remove(s)
	s.watch.Stop()
	s.close()
	g.metrics.Disconnects.WithLabelValues(reason).Inc()
	if s.taken {
		g.takenOver.Add(-1)
	}
	s.held.release(g)
	g.streams.Done()
}
