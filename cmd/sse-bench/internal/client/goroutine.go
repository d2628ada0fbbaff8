package client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/clock"
)

// readBuffer is the buffer of one connection of the goroutine engine, in bytes.
const readBuffer = 8 << 10

// goroutineEngine has a goroutine per subscriber. It works everywhere and
// speaks TLS, and costs several times the processor time of the epoll engine.
type goroutineEngine struct {
	g        *group
	inflight chan struct{} // a slot per attempt between SYN and response head

	lives []life // by subscriber; owned by the caller of open, leave and close
}

// life is the goroutine of a subscriber; the zero value is none.
type life struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func newGoroutineEngine(g *group) *goroutineEngine {
	return &goroutineEngine{g: g, inflight: make(chan struct{}, g.cfg.Inflight), lives: make([]life, len(g.subs))}
}

func (e *goroutineEngine) open() {
	for i := range e.g.subs {
		if e.lives[i].done != nil {
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		e.lives[i] = life{cancel, done}
		go func() {
			defer close(done)
			e.live(ctx, &e.g.subs[i])
		}()
	}
}

func (e *goroutineEngine) leave(n int) {
	for _, l := range e.lives[:n] {
		if l.done != nil {
			l.cancel()
		}
	}
	for i, l := range e.lives[:n] {
		if l.done != nil {
			<-l.done
		}
		e.lives[i] = life{}
		e.g.mu.Lock()
		e.g.subs[i].leave()
		e.g.mu.Unlock()
	}
}

func (e *goroutineEngine) close() { e.leave(len(e.lives)) }

// live is one EventSource: attempts and streams until ctx ends.
func (e *goroutineEngine) live(ctx context.Context, s *subscriber) {
	after := time.Duration(0)
	for again := e.comesBack(s); again && clock.Wait(ctx, after); {
		fault := e.attempt(ctx, s)
		if ctx.Err() != nil {
			return
		}
		e.g.mu.Lock()
		after, again = s.ended(fault)
		e.g.mu.Unlock()
	}
}

func (e *goroutineEngine) comesBack(s *subscriber) bool {
	e.g.mu.Lock()
	defer e.g.mu.Unlock()
	return s.phase != phaseClosed
}

// attempt makes one connection and reads it to its end; it returns the fault
// that ended it, "" for a regular end.
func (e *goroutineEngine) attempt(ctx context.Context, s *subscriber) (fault string) {
	select {
	case e.inflight <- struct{}{}:
	case <-ctx.Done():
		return ""
	}
	release := sync.OnceFunc(func() { <-e.inflight })
	defer release()

	e.g.mu.Lock()
	t := e.g.address(s)
	req := s.request(nil)
	e.g.mu.Unlock()

	conn, err := e.dial(ctx, t, int(s.index))
	if err != nil {
		return "connect: " + errorKind(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	// The deadline covers everything up to the response head.
	_ = conn.SetDeadline(time.Now().Add(connectTimeout))
	if _, err := conn.Write(req); err != nil {
		return "write: " + errorKind(err)
	}
	return e.read(conn, s, release)
}

func (e *goroutineEngine) read(conn net.Conn, s *subscriber, answered func()) (fault string) {
	buf := make([]byte, readBuffer)
	head := true
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			now := clock.Now()
			e.g.mu.Lock()
			over := s.feed(buf[:n], now)
			inBody := s.phase == phaseBody
			e.g.mu.Unlock()
			if over {
				return ""
			}
			if head && inBody {
				head = false
				_ = conn.SetDeadline(time.Time{})
				answered()
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return ""
		default:
			return "read: " + errorKind(err)
		}
	}
}

func (e *goroutineEngine) dial(ctx context.Context, t *target, index int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	d := &net.Dialer{}
	if ip := e.g.cfg.sourceIP(index); ip != nil {
		d.LocalAddr = &net.TCPAddr{IP: ip}
	}
	if !t.tls {
		return d.DialContext(ctx, "tcp", t.addr.String())
	}
	td := &tls.Dialer{NetDialer: d, Config: &tls.Config{
		ServerName: t.serverName, NextProtos: []string{"http/1.1"},
		InsecureSkipVerify: e.g.cfg.Insecure, //nolint:gosec // only on the user's -insecure
	}}
	return td.DialContext(ctx, "tcp", t.addr.String())
}

// errorKind names a network error without addresses, so that equal ones count
// together.
func errorKind(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "timed out"
	}
	return err.Error()
}
