package store

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/time/rate"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// relay is a TCP relay that knows which of its connections are subscribed to
// invalidations, and meddles with what Redis sends on those.
type relay struct {
	addr              string
	ctx               context.Context // ends with the test
	dropInvalidations atomic.Bool
	bytesPerSecond    atomic.Int64 // of each connection from Redis; 0: no limit
	// largestReply is the most that a connection that is not subscribed is
	// answered, in bytes; 0: no limit. One that would be sent more is silent from
	// then on.
	largestReply atomic.Int64

	mu    sync.Mutex
	links []*link
}

type link struct {
	client, server net.Conn
	subscribed     atomic.Bool
	muted          atomic.Bool
	answered       atomic.Int64 // bytes since the client last asked
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

// muteSubscribed silences the subscribed connections that there are, for good.
func (r *relay) muteSubscribed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.links {
		k.muted.Store(k.subscribed.Load())
	}
}

func (r *relay) up(k *link) {
	defer k.server.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := k.client.Read(buf)
		k.answered.Store(0)
		if strings.Contains(strings.ToLower(string(buf[:n])), "__redis__:invalidate") {
			k.subscribed.Store(true)
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
	var messages respSplitter
	for {
		n, err := k.server.Read(buf)
		if err != nil {
			return
		}
		if most := r.largestReply.Load(); most > 0 && k.answered.Add(int64(n)) > most && !k.subscribed.Load() {
			k.muted.Store(true)
		}
		if k.muted.Load() {
			continue
		}
		b := buf[:n]
		if k.subscribed.Load() {
			b = messages.pass(b, !r.dropInvalidations.Load())
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

// respSplitter finds the replies in what a subscribed connection receives.
type respSplitter struct {
	buf  []byte // begins with a reply
	scan respScan
}

// pass returns the replies that are complete with b, without the messages unless
// those are wanted.
func (p *respSplitter) pass(b []byte, messages bool) (out []byte) {
	p.buf = append(p.buf, b...)
	for {
		if p.scan == (respScan{}) {
			p.scan.need = 1
		}
		n, err := p.scan.advance(p.buf)
		if err != nil {
			panic(err) // Redis does not speak RESP
		}
		if n == 0 {
			return out
		}
		if reply := p.buf[:n]; messages || !strings.HasPrefix(string(reply), "*3\r\n$7\r\nmessage\r\n") {
			out = append(out, reply...)
		}
		p.buf, p.scan = p.buf[n:], respScan{}
	}
}
