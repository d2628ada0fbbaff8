package store

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/time/rate"

	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// relay is a TCP relay that knows which of its connections is the tail's, by the
// tracking that it switches on, and meddles with what Redis sends.
type relay struct {
	addr              string
	ctx               context.Context // ends with the test
	dropInvalidations atomic.Bool
	bytesPerSecond    atomic.Int64 // of each connection from Redis; 0: no limit
	// largestReply is the most that one command, or what is sent with it, is
	// answered, in bytes; 0: no limit. A connection that would be sent more is
	// silent from then on.
	largestReply atomic.Int64

	tailHold, historyHold hold

	mu    sync.Mutex
	links []*link
}

type link struct {
	client, server net.Conn
	tail           atomic.Bool
	answered       atomic.Int64 // bytes since the client last asked
}

// hold holds back what Redis sends on some connections.
type hold struct {
	mu    sync.Mutex
	held  chan struct{} // closed when something is held back; nil: nothing is to be
	goOn  chan struct{}
	after func([]byte) bool // holds back from the first bytes on for which it is true
}

// arm has what Redis sends held back from the first bytes on that wanted is true
// for. It says so on the one channel, and goes on when release is called.
func (h *hold) arm(wanted func([]byte) bool) (held <-chan struct{}, release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	goOn := make(chan struct{})
	h.held, h.goOn, h.after = make(chan struct{}), goOn, wanted
	return h.held, sync.OnceFunc(func() { close(goOn) })
}

// wait waits if the bytes are to be held back.
func (h *hold) wait(ctx context.Context, b []byte) {
	h.mu.Lock()
	held, goOn := h.held, h.goOn
	if held == nil || !h.after(b) {
		h.mu.Unlock()
		return
	}
	h.held = nil
	h.mu.Unlock()
	close(held)
	select {
	case <-goOn:
	case <-ctx.Done():
	}
}

func startRelay(t *testing.T, upstream string) *relay {
	t.Helper()
	l := redistest.Listen(t)
	r := &relay{addr: l.Addr().String(), ctx: t.Context()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", upstream)
			if err != nil {
				client.Close()
				continue
			}
			k := &link{client: client, server: server}
			r.mu.Lock()
			r.links = append(r.links, k)
			r.mu.Unlock()
			wg.Go(func() { r.up(k) })
			wg.Go(func() { r.down(k) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.mu.Lock()
		for _, k := range r.links {
			k.client.Close()
			k.server.Close()
		}
		r.mu.Unlock()
		wg.Wait()
	})
	return r
}

func (r *relay) up(k *link) {
	defer k.server.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := k.client.Read(buf)
		k.answered.Store(0)
		if bytes.Contains(buf[:n], []byte("TRACKING")) {
			k.tail.Store(true)
		}
		if _, werr := k.server.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// down passes on what Redis sends.
func (r *relay) down(k *link) {
	defer k.client.Close()
	buf := make([]byte, 16<<10)
	pace := rate.NewLimiter(rate.Inf, len(buf))
	var pushes pushFilter
	muted := false
	for {
		n, err := k.server.Read(buf)
		if err != nil {
			return
		}
		if most := r.largestReply.Load(); most > 0 && k.answered.Add(int64(n)) > most {
			muted = true
		}
		if muted {
			continue
		}
		b := buf[:n]
		if k.tail.Load() {
			b = pushes.pass(b, !r.dropInvalidations.Load())
			r.tailHold.wait(r.ctx, b)
		} else {
			r.historyHold.wait(r.ctx, b)
		}
		if _, err := k.client.Write(b); err != nil {
			return
		}
		if limit := r.bytesPerSecond.Load(); limit > 0 {
			pace.SetLimit(rate.Limit(limit))
		}
		if err := pace.WaitN(r.ctx, n); err != nil {
			return // the test is over
		}
	}
}

// pushFilter finds the pushes in what Redis sends.
type pushFilter struct {
	buf []byte // begins with a value
}

// pass returns the values that are complete with b, without the pushes unless
// those are wanted.
func (p *pushFilter) pass(b []byte, pushes bool) (out []byte) {
	p.buf = append(p.buf, b...)
	for len(p.buf) > 0 {
		n := valueLen(p.buf)
		if n == 0 {
			return out
		}
		if pushes || p.buf[0] != byte(resp.Push) {
			out = append(out, p.buf[:n]...)
		}
		p.buf = p.buf[n:]
	}
	return out
}

// valueLen returns the length of the value that b begins with, 0 if it is not
// complete.
func valueLen(b []byte) int {
	at := bytes.IndexByte(b, '\n') + 1
	if at == 0 {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSuffix(string(b[1:at]), "\r\n"))
	switch b[0] {
	case '$', '=', '!':
		if n < 0 {
			return at // null
		}
		if at += n + len("\r\n"); at > len(b) {
			return 0
		}
		return at
	case '%', '|':
		n *= 2
	case '*', '~', '>':
	default:
		return at
	}
	for ; n > 0; n-- {
		size := valueLen(b[at:])
		if size == 0 {
			return 0
		}
		at += size
	}
	return at
}
