package engine

import (
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/batch"
	"github.com/sse-gateway/sse-gateway/gateway/internal/conn"
	"github.com/sse-gateway/sse-gateway/gateway/internal/content"
	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
	"github.com/sse-gateway/sse-gateway/gateway/internal/lifetime"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
)

// Slot is a connection's place in what the caller limits. Release is called once,
// when the stream has ended, by any goroutine.
type Slot interface{ Release() }

// Stream is what one client is sent, and how. Methods that do not say otherwise are
// called by its owner; see the package comment.
type Stream struct {
	shard *shard

	// Fixed once the stream is open.
	slot     Slot
	life     lifetime.Lifetime
	ping     bool // heartbeats are events
	unknown  bool // the client's position could not be understood
	hijacked bool // the connection was taken over from net/http
	chunked  bool // the body has the chunked transfer coding

	// Owned by the owner.
	closed      bool           // nothing may follow what is pending
	slow        bool           // the last write had to wait for the client
	unseen      bool           // the client was not yet seen to have taken everything
	reader      content.Reader // Channel.Index is in topic.subscribers, and guarded by shard.mu
	pending     *unsent        // what is left of a write; nil mostly
	sum         deflate.Sum    // of what was written, if it is compressed
	heartbeatAt int64          // when the next heartbeat is due, in reactor.Nanos

	// What the shard knows, guarded by loopMu.
	place    reactor.Slot // 0 before the shard knows the stream, and after its end
	fd       int32        // the client's socket, while no net.Conn has it; of the owner
	parked   bool         // it is owned by whoever holds loopMu
	idles    bool         // it is parked and up to date, and counted as such
	gone     bool         // it has ended
	progress conn.Progress

	writer atomic.Pointer[writer] // nil while the descriptor is detached
	ending atomic.Pointer[ending] // nil while nobody has asked for the end
}

// ending is why a stream is to end, and since when.
type ending struct {
	reason string // of metrics
	at     int64  // in reactor.Nanos
}

// unsent is what is left of a write.
type unsent struct {
	batch.Output
	since int64 // when the write began, in reactor.Nanos
}

// writer is a connection that a goroutine writes to. Its methods may be
// called by any goroutine and do not block.
type writer interface {
	// Wake has the goroutine look for something new.
	Wake()
	// StartClosing gives the write that is under way, and what follows,
	// conn.CloseGrace to end.
	StartClosing()
	// Abort has the write that is under way, if there is one, fail.
	Abort()
	// Peer tells how far the client is. It is called by the shard only.
	Peer() conn.PeerState
}

// wake has the stream's goroutine, if it has one, look for something new. Any
// goroutine may call it.
func (s *Stream) wake() {
	if w := s.writer.Load(); w != nil {
		(*w).Wake()
	}
}

// end asks the owner to end the stream, after the event that it is writing. The
// first reason counts. Any goroutine may call it.
func (s *Stream) end(reason string) {
	if !s.mustEnd(reason, time.Now()) {
		return
	}
	if w := s.writer.Load(); w != nil {
		(*w).StartClosing()
	}
	s.shard.tell(s, toBeServed) // in case it is parked
}

// mustEnd notes that the stream must end. It is false if that was known.
func (s *Stream) mustEnd(reason string, now time.Time) bool {
	return s.ending.CompareAndSwap(nil, &ending{reason, reactor.Nanos(now)})
}

// Revoke ends the stream because its grant was withdrawn. It does not block, and may
// be called at any time, by any goroutine, and more than once.
func (s *Stream) Revoke() { s.end(metrics.EndRevoked) }

// endReason returns why the stream must end now, and "" if it need not. Any
// goroutine may call it.
func (s *Stream) endReason(now time.Time) string {
	if e := s.ending.Load(); e != nil {
		return e.reason
	}
	return s.life.Reason(now)
}

// unsubscribe ends the stream's subscriptions.
func (s *Stream) unsubscribe() {
	for i := range s.reader.Channels {
		if c := &s.reader.Channels[i]; c.Topic != nil {
			s.shard.unsubscribe(c)
		}
	}
}

// written notes that the client was just written to. That of a parked stream is called
// with loopMu held.
func (s *Stream) written(now time.Time) {
	s.heartbeatAt = reactor.Nanos(now.Add(lifetime.Jitter(s.shard.env.cfg.Heartbeat)))
	if !s.unseen {
		if s.unseen = true; s.parked {
			s.shard.schedule(s, now)
		}
	}
}
