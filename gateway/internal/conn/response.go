package conn

import (
	"context"
	"net"
	"net/http"
	"os"
	"time"
)

// Response is a stream of an HTTP/2 connection, or any other response that
// cannot be hijacked. Its goroutine is the request's.
type Response struct {
	w        http.ResponseWriter
	rc       *http.ResponseController
	ctx      context.Context // ends when the client goes
	woken    chan struct{}   // capacity 1
	under    net.Conn        // the connection, which other streams share; nil if unknown
	slow     bool            // the last chunk had to wait for the client
	deadline writeDeadline
	writes   blockingWrites

	// Owned by the shard, which holds loopMu.
	last     socketState // as of the last look
	progress uint64      // how often the client was seen to have taken something
}

func NewResponse(w http.ResponseWriter, r *http.Request) *Response {
	rc := http.NewResponseController(w)
	under, _ := r.Context().Value(connKey{}).(net.Conn)
	return &Response{w: w, rc: rc, ctx: r.Context(), woken: make(chan struct{}, 1), under: under, deadline: writeDeadline{set: rc.SetWriteDeadline}}
}

type connKey struct{}

// WithConn is the ConnContext of an http.Server. Without it a client of HTTP/2 that
// is only slow may be taken for one that has gone.
func WithConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

func (c *Response) Wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

func (c *Response) StartClosing() {
	c.deadline.startClosing()
	c.Wake()
}

// Abort fails the stream, and closes the connection if that takes nothing for any
// of its streams: no other end would reach the client.
func (c *Response) Abort() {
	if c.under != nil {
		if queued, _, ok := peerProgress(c.under); ok && queued > 0 {
			bare := bareConn(c.under) // TLS would wait for the client to take the end of the session
			discardUnsent(bare)
			_ = bare.Close()
		}
	}
	c.deadline.abort()
	c.Wake()
}

func (c *Response) SetDeadline(t time.Time) { c.deadline.limit(t) }

// socketState is how far the client is, as the connection tells.
type socketState struct {
	queued bool   // bytes wait in the socket
	acked  uint64 // bytes, if queued
	done   uint64 // chunks that were written
}

// peer tells how far the client is. A stream of HTTP/2 waits for one of two things.
// If bytes wait in the socket, which all streams of the connection share, any
// acknowledged byte is progress; that the kernel takes another chunk is not.
// Otherwise it waits for the client to open the stream's flow-control window, and a
// chunk that was written is all the progress there is to see.
func (c *Response) Peer() PeerState {
	writes := c.writes.peer()
	now := socketState{done: writes.Taken}
	if c.under != nil {
		queued, acked, ok := peerProgress(c.under)
		now.queued, now.acked = ok && queued > 0, acked
	}
	switch last := c.last; {
	case now.queued != last.queued, now.queued && now.acked != last.acked, !now.queued && now.done != last.done:
		c.progress++
	}
	c.last = now
	return PeerState{Waiting: now.queued || writes.Waiting, Taken: c.progress}
}

// responseChunk is the most that is written to a response at once, in bytes, and
// slowChunk if its client is slow: progress of the flow-control window is seen from
// one write to the next.
const (
	responseChunk = 16 << 10
	slowChunk     = 4 << 10
)

func (c *Response) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		chunk := responseChunk
		if c.slow {
			chunk = slowChunk
		}
		start, part := time.Now(), p[n:min(len(p), n+chunk)]
		var took int
		took, err = c.writes.each(part, len(part), c.writeAndFlush)
		n += took
		c.slow = time.Since(start) > SlowWrite
	}
	if err != nil && c.ctx.Err() != nil && !os.IsTimeout(err) {
		err = ErrGone
	}
	return n, err
}

func (c *Response) writeAndFlush(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err == nil {
		err = c.rc.Flush()
	}
	return n, err
}

func (c *Response) Wait(until time.Time) error {
	// Nothing is being written: a deadline must not end the idle stream.
	c.deadline.limit(time.Time{})
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-c.woken:
	case <-timer.C:
	case <-c.ctx.Done():
		return ErrGone
	}
	return nil
}

func (c *Response) Close() { c.deadline.leave() }
