package engine

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// StartKind is where a stream starts in a channel.
type StartKind uint8

// The places where a stream may start.
const (
	StartNow   StartKind = iota // with what is published from now on
	StartAfter                  // after an id
	StartSince                  // with the entries of a time and later
	StartLast                   // with the last entries
	StartAll                    // with the oldest entry
)

// Start is where a stream starts in a channel.
type Start struct {
	Kind  StartKind
	After store.ID  // of StartAfter
	Since time.Time // of StartSince
	Last  int       // of StartLast: how many events
}

// Subscription is what a client asks for and may have.
type Subscription struct {
	Channels []string // sorted, without repeats
	Starts   []Start  // one per channel
	Unknown  bool     // the client's position was not understood: it gets a gap that says so
	Envelope bool
	Newest   bool      // of what is behind, only the newest entry of a channel is sent
	Ping     bool      // heartbeats are events
	Gzip     bool      // the client takes the content coding; it counts if Config.BlockMemory is set
	Expires  time.Time // when the grant ends; zero: never
	Slot     Slot      // is released when a stream that was served has ended
}

// ChannelError is an error of the store about a channel.
type ChannelError struct {
	Channel string
	Err     error // of Store.Subscribe
}

func (e *ChannelError) Error() string { return e.Channel + ": " + e.Err.Error() }

// Unwrap returns the error of the store.
func (e *ChannelError) Unwrap() error { return e.Err }

// Open subscribes to the channels and places the cursors. It blocks until Redis has
// answered or ctx ends; the error is a *ChannelError, or ErrEnded. The stream must be
// served or discarded.
func (e *Engine) Open(ctx context.Context, sub Subscription) (*Stream, error) {
	s := &Stream{
		shard: e.nextShard(), envelope: sub.Envelope, ping: sub.Ping, unknown: sub.Unknown, slot: sub.Slot,
		life: newLifetime(time.Now(), sub.Expires, e.env.cfg.MaxConnectionAge), gzip: sub.Gzip && e.env.blocks != nil,
	}
	if s.channels = s.one[:]; len(sub.Channels) > 1 {
		s.channels = make([]channelState, len(sub.Channels))
		s.signature = sse.Signature(sub.Channels)
	}
	ended := !sub.Unknown // a gap has to be told
	for i, channel := range sub.Channels {
		err := s.shard.subscribe(ctx, channel, s, i)
		if err == nil {
			err = s.placeCursor(ctx, i, &sub.Starts[i])
		}
		if err != nil {
			s.unsubscribe()
			return nil, &ChannelError{channel, err}
		}
		c := &s.channels[i]
		if sub.Newest {
			c.cursor.OnlyNewest()
		}
		_, stalled := c.cursor.Sub().Stalled()
		ended = ended && c.cursor.Ended() && !stalled // nobody knows what came since Redis went away
	}
	for i := 0; ended && i < len(s.channels); i++ {
		var err error
		if ended, err = s.channels[i].cursor.ConfirmEnd(ctx); err != nil {
			s.unsubscribe()
			return nil, &ChannelError{sub.Channels[i], err}
		}
	}
	if ended {
		s.unsubscribe()
		return nil, ErrEnded
	}
	return s, nil
}

// placeCursor places the cursor of the i-th channel where the client starts.
func (s *Stream) placeCursor(ctx context.Context, i int, start *Start) (err error) {
	c := &s.channels[i]
	c.resume, c.live = start.Kind == StartAfter, start.Kind == StartNow
	c.cursor, err = PlaceCursor(ctx, c.topic.sub, start)
	return err
}

// PlaceCursor returns a cursor where a client starts. Errors are those of
// Subscription.Last.
func PlaceCursor(ctx context.Context, sub *store.Subscription, start *Start) (store.Cursor, error) {
	switch start.Kind {
	case StartAfter:
		return sub.After(start.After), nil
	case StartSince:
		return sub.Since(start.Since), nil
	case StartLast:
		return sub.Last(ctx, start.Last)
	case StartAll:
		return sub.All(ctx)
	}
	return sub.Now(), nil
}

// Discard ends a stream that is not served. Its slot is not released.
func (s *Stream) Discard() { s.unsubscribe() }

// ErrEnded is the error of Open if all channels have ended, and the client has got, or
// does not ask for, anything of them.
var ErrEnded = errors.New("the channels have ended")

// ErrStopping is the error of Serve after Engine.Stop.
var ErrStopping = errors.New("the engine is stopping")

// Serve answers a request with the stream. An HTTP/1 connection is hijacked, which
// lets go of all that net/http keeps for it, and is parked if it is plain TCP, where
// the system allows that. A ResponseWriter with the method HijackFD gives its
// descriptor at once. Otherwise the stream has a goroutine: for HTTP/2 that is
// the caller's, and Serve returns when the stream has ended. If it fails with
// ErrStopping, nothing was written, and the stream must be discarded.
func (e *Engine) Serve(s *Stream, w http.ResponseWriter, r *http.Request) error {
	if !e.register(s) {
		return ErrStopping
	}
	e.env.cfg.Metrics.ConnectionsOpened.Inc()
	if s.gzip {
		w.Header().Set("Content-Encoding", "gzip")
	}
	if r.ProtoMajor == 1 {
		s.chunked = r.ProtoAtLeast(1, 1)
		head := responseHeader(w.Header(), s.chunked)
		if d, ok := w.(interface{ HijackFD() int32 }); ok && !e.env.cfg.NoParking {
			s.hijacked = true
			e.env.hijacked.Add(1)
			s.pending, s.fd = s.preamble(head), d.HijackFD()
			s.serveDetached()
			return nil
		}
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = c.SetDeadline(time.Time{})
			if wrapped, ok := c.(interface{ Unwrap() net.Conn }); ok {
				c = wrapped.Unwrap() // the listener's part is over; unlike TLS, it leaves the bytes as they are
			}
			s.hijacked = true
			e.env.hijacked.Add(1)
			s.serveHijacked(c, s.preamble(head))
			return nil
		}
		s.chunked = false // net/http frames the body
	}
	if pending, ok := w.(interface{ BeginStream() }); ok {
		pending.BeginStream() // from now on the deadlines are the stream's own
	}
	SetStreamHeaders(w.Header())
	w.WriteHeader(http.StatusOK)
	clear(r.Header) // cookies and tokens: the server keeps the request for as long as the stream lives
	s.pending = s.preamble(nil)
	s.runBlocking(newResponseConn(w, r))
	return nil
}

// register counts a stream among the open ones. It is false if it came too late: it
// was admitted before the drain began, and was opened when that was over.
func (e *Engine) register(s *Stream) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.stopping {
		return false
	}
	e.env.streams.Add(1)
	s.shard.mu.Lock()
	s.shard.streams[s] = struct{}{}
	s.shard.mu.Unlock()
	return true
}

// preambleSize is about how many bytes the response header and the ready frame of one
// channel have.
const preambleSize = 640

// preamble returns what a stream begins with: the response header, unless net/http
// writes it, and the first frames.
func (s *Stream) preamble(head []byte) *output {
	// Not a buffer of the pool: this is small, and a storm of clients would make the
	// pool allocate large ones for all of them at once.
	s.buf = &buffer{b: make([]byte, chunkRoom, preambleSize)}
	if s.gzip {
		s.buf.b = append(s.buf.b, deflate.Header...)
		s.buf.beginGzip(s.sum)
	}
	s.buf.b = appendRetry(s.buf.b, s.shard.env.cfg.Retry)
	if s.unknown {
		s.buf.b = s.appendUnknown(s.buf.b)
	}
	s.buf.b = s.appendReady(s.buf.b)
	own := append(head, s.buf.output(s.chunked).own...)
	s.sum = s.buf.sum
	s.buf.count(s.shard.env.cfg.Metrics, len(own), 1, time.Now())
	s.buf = nil
	return &output{own: own}
}

// serveHijacked starts a stream on a connection that was hijacked.
func (s *Stream) serveHijacked(c net.Conn, preamble *output) {
	s.pending = preamble
	fd, ok := int32(-1), false
	if !s.shard.env.cfg.NoParking {
		fd, ok = reactor.DetachFD(c)
	}
	if !ok {
		// A new goroutine: the caller's has a stack that has grown, and keeps the
		// request alive.
		go s.runBlocking(newHijackedConn(c, false))
		return
	}
	s.fd = fd
	s.serveDetached()
}

// serveDetached starts a stream whose descriptor no net.Conn has.
func (s *Stream) serveDetached() {
	switch o, err := s.flushNonblocking(); {
	case err != nil:
		s.endDetached(s.reasonOf(err))
	case o == mustEnd:
		s.endDetached(s.endReason(time.Now()))
	case o == upToDate:
		s.shard.enqueuePark(s)
	default:
		go s.resumeBlocking(true)
	}
}

// runBlocking runs a stream to its end.
func (s *Stream) runBlocking(c conn) {
	s.publishWriter(c)
	reason := s.writeLoop(c)
	c.close()
	s.cleanup(reason)
}

// resumeBlocking runs a stream that was parked, or might have been, until it can be
// parked again or ends; if it cannot be parked at all, to its end.
func (s *Stream) resumeBlocking(park bool) {
	nc, err := reactor.WrapFD(s.fd)
	if err != nil {
		s.shard.env.cfg.Log.Warn("a connection was lost", "error", err)
		s.cleanup(s.reasonOf(err))
		return
	}
	c := newHijackedConn(nc, park)
	s.publishWriter(c)
	reason := s.writeLoop(c)
	if reason == "" {
		if fd, ok := reactor.DetachFD(nc); ok {
			s.fd = fd
			s.writer.Store(nil)
			s.shard.enqueuePark(s)
			return
		}
		c.plain = false // no descriptor is left: it keeps its goroutine
		reason = s.writeLoop(c)
	}
	c.close()
	s.cleanup(reason)
}

// publishWriter makes the stream's connection known to those who wake and end it, and
// to the shard.
func (s *Stream) publishWriter(c conn) {
	w := writer(c)
	s.writer.Store(&w)
	if !s.watched {
		s.watched = true
		s.shard.enqueueWatch(s)
	}
}

// endDetached ends a stream whose descriptor is detached.
func (s *Stream) endDetached(reason string) {
	if b := s.appendClosing(nil, reason); len(b) > 0 {
		_, _ = reactor.WriteNonblock(s.fd, b)
	}
	if reason == metrics.EndWriteTimeout {
		reactor.DiscardFD(s.fd)
	} else {
		reactor.CloseFD(s.fd)
	}
	s.release(reason)
}

// cleanup ends the shard's part in a stream that had a goroutine, and what release
// does.
func (s *Stream) cleanup(reason string) {
	s.writer.Store(nil)
	s.shard.loopMu.Lock()
	s.shard.forget(s)
	s.shard.loopMu.Unlock()
	s.release(reason)
}

// release gives back what a stream has that has ended, and counts the end.
func (s *Stream) release(reason string) {
	sh := s.shard
	sh.mu.Lock()
	delete(sh.streams, s)
	sh.mu.Unlock()
	s.unsubscribe()
	sh.env.cfg.Metrics.Disconnects.WithLabelValues(reason).Inc()
	if s.hijacked {
		sh.env.hijacked.Add(-1)
	}
	if s.slot != nil {
		s.slot.Release()
	}
	sh.env.streams.Done()
}
