package listener

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"runtime/debug"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
)

// decision is the http.ResponseWriter of a request that is decided before
// net/http has the connection. A stream takes the socket (HijackFD), or the
// connection (Hijack); anything else is an answer for net/http to write.
type decision struct {
	recorder
	front    *front
	socket   *socket
	hijacked bool
}

// decide has the handler decide a request.
func (f *front) decide(w *worker, s *socket, r *http.Request) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r = r.WithContext(ctx)
	if r.RemoteAddr = s.peer.String(); s.source != nil {
		r.RemoteAddr = s.source.String()
	}
	// A client that goes while its request is decided ends that. To watch from the
	// start would take longer than most decisions.
	w.onSlow(func() { f.watch(s, cancel) })
	d := &decision{recorder: recorder{header: make(http.Header)}, front: f, socket: s}
	ok := d.serve(f.l.cfg.Handler, r)
	if d.hijacked {
		return
	}
	f.release(s)
	if ok {
		f.handOver(s, d.finish())
		return
	}
	reactor.CloseFD(s.fd)
	s.place.leave()
}

// serve calls the handler. It reports false if that has panicked, with
// http.ErrAbortHandler or, which is logged as net/http does, because of a defect.
func (d *decision) serve(h http.Handler, r *http.Request) (ok bool) {
	defer func() {
		if err := recover(); err != nil {
			ok = false
			if err != http.ErrAbortHandler {
				d.front.l.cfg.Log.Error("http", "message", "http: panic serving", "client", r.RemoteAddr, "error", err, "stack", string(debug.Stack()))
			}
		}
	}()
	h.ServeHTTP(d, r)
	return true
}

// HijackFD returns the socket, which is the caller's from now on: not watched by
// anybody, and non-blocking. It is called at most once, and not after Hijack.
func (d *decision) HijackFD() int32 {
	d.hijacked = true
	d.front.release(d.socket)
	d.socket.place.leave()
	return d.socket.fd
}

// Hijack implements http.Hijacker.
func (d *decision) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, err := reactor.WrapFD(d.HijackFD())
	if err != nil {
		return nil, nil, err
	}
	return c, bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c)), nil
}

// watch has gone called if the client goes, until release.
func (f *front) watch(s *socket, gone func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.decided || !f.reactor.CanWatch() {
		return
	}
	s.gone = gone
	s.slot = f.reactor.Add(s)
	if f.reactor.Watch(s.slot, s.fd) != nil {
		f.forget(s)
	}
}

// release ends what watch began. The caller owns the socket.
func (f *front) release(s *socket) {
	f.mu.Lock()
	f.forget(s)
	s.gone, s.decided = nil, true
	f.mu.Unlock()
}
