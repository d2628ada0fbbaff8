package engine

import (
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/batch"
	"github.com/sse-gateway/sse-gateway/gateway/internal/conn"
	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
)

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
	if s.reader.Gzip {
		w.Header().Set("Content-Encoding", "gzip")
	}
	if r.ProtoMajor == 1 && s.serveHijacked(w, r) {
		return nil
	}
	if pending, ok := w.(interface{ BeginStream() }); ok {
		pending.BeginStream() // from now on the deadlines are the stream's own
	}
	conn.SetStreamHeaders(w.Header())
	w.WriteHeader(http.StatusOK)
	clear(r.Header) // cookies and tokens: the server keeps the request for as long as the stream lives
	s.pending = s.preamble(nil)
	s.runBlocking(conn.NewResponse(w, r))
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

// preambleSize is about how many bytes the ready frame of one channel has, and what comes
// before it.
const preambleSize = 320

// preamble returns what a stream begins with: the response header, unless net/http
// writes it, and the first frames.
func (s *Stream) preamble(head []byte) *unsent {
	// Not a buffer of the pool: this is small, and a storm of clients would make the
	// pool allocate large ones for all of them at once.
	buf := batch.New(preambleSize)
	if s.reader.Gzip {
		buf.B = append(buf.B, deflate.Header...)
		buf.BeginGzip(s.sum)
	}
	buf.B = appendRetry(buf.B, s.shard.env.cfg.Retry)
	if s.unknown {
		s.reader.AppendUnknown(buf)
	}
	s.reader.AppendReady(buf)
	frames := buf.Output(s.chunked)
	now, all := time.Now(), append(head, frames.Next()...)
	s.sum = buf.Sum()
	buf.Count(s.shard.env.cfg.Metrics, len(all), 1, now)
	return &unsent{batch.Plain(all), reactor.Nanos(now)}
}

// serveHijacked starts a stream on the connection of a request, which it takes over from
// net/http. It reports false, and has done nothing, if the connection cannot be had.
func (s *Stream) serveHijacked(w http.ResponseWriter, r *http.Request) bool {
	s.chunked = r.ProtoAtLeast(1, 1)
	head := conn.ResponseHeader(w.Header(), s.chunked)
	fd, c, err := hijack(w, !s.shard.env.cfg.NoParking)
	if err != nil {
		s.chunked = false // net/http frames the body
		return false
	}
	s.hijacked = true
	s.shard.env.hijacked.Add(1)
	s.pending = s.preamble(head)
	if c != nil {
		// A new goroutine: the caller's has a stack that has grown, and keeps the request
		// alive.
		go s.runBlocking(conn.NewHijacked(c))
		return true
	}
	s.fd = fd
	_, _ = s.flushNonblocking() // the shard finds the outcome again
	s.shard.tell(s, toBeParked)
	return true
}

// hijack takes a connection over from net/http: the descriptor if it is to be parked and
// can be, or else c.
func hijack(w http.ResponseWriter, park bool) (fd int32, c net.Conn, err error) {
	if d, ok := w.(interface{ HijackFD() int32 }); ok && park {
		return d.HijackFD(), nil, nil
	}
	if c, _, err = http.NewResponseController(w).Hijack(); err != nil {
		return 0, nil, err
	}
	_ = c.SetDeadline(time.Time{})
	if wrapped, ok := c.(interface{ Unwrap() net.Conn }); ok {
		c = wrapped.Unwrap() // the listener's part is over; unlike TLS, it leaves the bytes as they are
	}
	if park {
		if fd, ok := reactor.DetachFD(c); ok {
			return fd, nil, nil
		}
	}
	return 0, c, nil
}

// runBlocking runs a stream to its end, with a connection whose writes block.
func (s *Stream) runBlocking(c connection) {
	w := writer(c)
	s.writer.Store(&w)
	s.shard.tell(s, toBeWatched)
	reason := s.writeLoop(c)
	c.Close()
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
