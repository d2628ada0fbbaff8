package engine

import (
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// Slot is a connection's place in what the caller limits. Release is called once,
// when the stream has ended, by any goroutine.
type Slot interface{ Release() }

// Stream is what one client is sent: cursors over its channels, turned into
// event-stream frames. Methods that do not say otherwise are called by its owner;
// see the package comment.
type Stream struct {
	shard *shard

	// Fixed once the stream is open.
	channels  []channelState // in the order of the sorted names
	one       [1]channelState
	signature string // of the channels; "" for a single one
	slot      Slot
	life      lifetime
	envelope  bool
	ping      bool // heartbeats are events
	unknown   bool // the client's position could not be understood
	hijacked  bool // the connection was taken over from net/http
	chunked   bool // the body has the chunked transfer coding
	gzip      bool // the body has the content coding gzip

	// Owned by the owner.
	stalled     bool        // the client was told that Redis is away
	finished    bool        // the client was told the end of every channel
	slow        bool        // the last blocking write had to wait for the client
	nextChannel uint16      // the channel that fill begins with
	behind      uint16      // the channel that fetch is for
	page        *page       // what is left of a page of history; nil mostly
	pending     *output     // what is left of a write; nil mostly
	buf         *buffer     // what is being made; nil between steps
	sum         deflate.Sum // of what was written, if it is compressed
	watched     bool        // the shard was told of the stream
	heartbeatAt int64       // when the next heartbeat is due, in reactor.Nanos
	parkedState             // its own part is guarded by the shard's loopMu

	writer atomic.Pointer[writer] // nil while no goroutine has the stream
	ending atomic.Pointer[string] // why the stream is to end; a reason of metrics
}

// parkedState is what the shard knows of a stream. It is guarded by loopMu.
type parkedState struct {
	place    reactor.Slot // 0 before the shard knows the stream, and after its end
	fd       int32        // the client's socket, while no net.Conn has it; of the owner
	parked   bool         // it is owned by whoever holds loopMu
	gone     bool         // it has ended
	progress progress
}

// writer is the connection of a stream that has a goroutine. Its methods may be
// called by any goroutine and do not block.
type writer interface {
	// wake has the goroutine look for something new.
	wake()
	// startClosing gives the write that is under way, and what follows, closeGrace
	// to end.
	startClosing()
	// abort has the write that is under way, if there is one, fail.
	abort()
	// peer tells how far the client is. It is called by the shard only.
	peer() peerState
}

// channelState is a stream's part in one channel.
type channelState struct {
	cursor store.Cursor
	topic  *topic
	index  int32 // in topic.subscribers; guarded by shard.mu
	live   bool  // it has caught up, so that its latency means something
	resume bool  // it began at the client's position, and how that went is not counted yet
	ended  bool  // the client was told that the channel has ended; what was sent is all there is
}

// page is what is left to be sent of a page of history.
type page struct {
	channel int
	gap     *store.Gap
	entries []store.Entry
}

// wake has the stream's goroutine, if it has one, look for something new. Any
// goroutine may call it.
func (s *Stream) wake() {
	if w := s.writer.Load(); w != nil {
		(*w).wake()
	}
}

// end asks the owner to end the stream, after the event that it is writing. The
// first reason counts. Any goroutine may call it.
func (s *Stream) end(reason string) {
	if !s.ending.CompareAndSwap(nil, &reason) {
		return
	}
	if w := s.writer.Load(); w != nil {
		(*w).startClosing()
	}
	s.shard.enqueueEnd(s) // in case it is parked, or about to be
}

// Revoke ends the stream because its grant was withdrawn. It does not block, and may
// be called at any time, by any goroutine, and more than once.
func (s *Stream) Revoke() { s.end(metrics.EndRevoked) }

// endReason returns why the stream must end now, and "" if it need not. Any
// goroutine may call it.
func (s *Stream) endReason(now time.Time) string {
	if r := s.ending.Load(); r != nil {
		return *r
	}
	return s.life.reason(now)
}

// unsubscribe ends the stream's subscriptions.
func (s *Stream) unsubscribe() {
	for i := range s.channels {
		if s.channels[i].topic != nil {
			s.shard.unsubscribe(&s.channels[i])
		}
	}
}

// written notes that the client was just written to.
func (s *Stream) written(now time.Time) {
	s.heartbeatAt = reactor.Nanos(now.Add(jitter(s.shard.env.cfg.Heartbeat)))
}

// deliveredID is the position up to which the client was sent the i-th channel.
func (s *Stream) deliveredID(i int) store.ID {
	if p := s.page; p != nil && i == p.channel && len(p.entries) > 0 {
		return p.entries[0].ID.Prev()
	}
	return s.channels[i].cursor.Pos()
}
