package redistest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// line is a connection to an echo server.
type line struct {
	net.Conn
	r *bufio.Reader
}

func startEcho(t *testing.T) string {
	t.Helper()
	return ServeConns(t, func(c net.Conn) {
		defer c.Close()
		_, _ = io.Copy(c, c) // ends with the connection
	}).Addr().String()
}

func connect(t *testing.T, addr string) line {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return line{c, bufio.NewReader(c)}
}

func (l line) say(t *testing.T, s string) {
	t.Helper()
	if _, err := io.WriteString(l, s+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (l line) hear(within time.Duration) (string, error) {
	if err := l.SetReadDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	return l.r.ReadString('\n')
}

func (l line) mustHear(t *testing.T, want string) {
	t.Helper()
	if got, err := l.hear(settleTimeout); err != nil || got != want+"\n" {
		t.Fatalf("heard %q, %v; want %q", got, err, want)
	}
}

func TestProxyCutRestore(t *testing.T) {
	t.Parallel()
	p := StartProxy(t, startEcho(t))
	addr := p.Addr()
	c := connect(t, addr)
	c.say(t, "one")
	c.mustHear(t, "one")
	p.Cut()
	if s, err := c.hear(settleTimeout); err == nil || isTimeout(err) {
		t.Errorf("after Cut: heard %q, %v", s, err)
	}
	if _, err := net.DialTimeout("tcp", addr, time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dialing after Cut: %v", err)
	}
	p.Restore()
	p.Restore()
	c = connect(t, addr)
	c.say(t, "two")
	c.mustHear(t, "two")
}

func TestProxyBlackhole(t *testing.T) {
	t.Parallel()
	p := StartProxy(t, startEcho(t))
	old := connect(t, p.Addr())
	old.say(t, "one")
	old.mustHear(t, "one")
	p.Blackhole()
	old.say(t, "two")
	fresh := connect(t, p.Addr())
	fresh.say(t, "three")
	for _, c := range []line{old, fresh} {
		if s, err := c.hear(100 * time.Millisecond); !isTimeout(err) {
			t.Errorf("in the dark: heard %q, %v", s, err)
		}
	}
	p.Clear()
	old.mustHear(t, "two")
	fresh.mustHear(t, "three")

	// A cut in the dark drops what was held.
	p.Blackhole()
	old.say(t, "four")
	p.Cut()
	if s, err := old.hear(settleTimeout); err == nil || isTimeout(err) {
		t.Errorf("after Cut: heard %q, %v", s, err)
	}
}

// No close passes either: the peer of a half-open connection is never told.
func TestProxyBlackholeHidesClose(t *testing.T) {
	t.Parallel()
	s := Start(t)
	p := StartProxy(t, s.Addr())
	c := connect(t, p.Addr())
	c.say(t, "PING")
	c.mustHear(t, "+PONG\r")
	p.Blackhole()
	s.Kill()
	if b, err := c.hear(100 * time.Millisecond); !isTimeout(err) {
		t.Errorf("the server's end showed: %q, %v", b, err)
	}
	p.Clear()
	if b, err := c.hear(settleTimeout); err == nil || isTimeout(err) {
		t.Errorf("after Clear: heard %q, %v", b, err)
	}
}

func TestProxyLatency(t *testing.T) {
	t.Parallel()
	p := StartProxy(t, startEcho(t))
	c := connect(t, p.Addr())
	const delay = 80 * time.Millisecond
	p.Latency(delay)
	begin := time.Now()
	c.say(t, "one")
	c.mustHear(t, "one")
	if took := time.Since(begin); took < 2*delay {
		t.Errorf("there and back took %v, want at least %v", took, 2*delay)
	}
	p.Latency(time.Hour)
	c.say(t, "two")
	if s, err := c.hear(50 * time.Millisecond); !isTimeout(err) {
		t.Errorf("heard %q, %v an hour early", s, err)
	}
	p.Clear()
	c.mustHear(t, "two")
}

// A peer that does not read must not block the controls.
func TestProxyControlsUnderBackpressure(t *testing.T) {
	t.Parallel()
	s := Start(t)
	p := StartProxy(t, s.Addr())
	s.Pause()
	c := connect(t, p.Addr())
	if err := c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var err error
	for chunk := make([]byte, 1<<20); err == nil; {
		_, err = c.Write(chunk)
	}
	if !isTimeout(err) {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Blackhole()
		p.Clear()
		p.Cut()
	}()
	select {
	case <-done:
	case <-time.After(settleTimeout):
		t.Error("the controls hang")
	}
	s.Resume()
}
