package main

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// flow has a client send as much as it may for a while, in reads of n bytes,
// with the gateway writing this much per second, and returns how much it sent.
func flow(n int, perSecond int64, during time.Duration) (total int64) {
	now := time.Unix(1000, 0)
	m := newMeter(now)
	for end := now.Add(during); ; {
		if m.empty() {
			wait := m.fill(now)
			if !now.Before(end) {
				return total
			}
			if wait > 0 {
				m.written.Add(perSecond * int64(wait) / int64(time.Second))
				now = now.Add(wait)
				continue
			}
		}
		m.take(n)
		total += int64(n)
	}
}

func TestMeter(t *testing.T) {
	const during = time.Minute
	seconds := int64(during / time.Second)
	for name, tt := range map[string]struct {
		read             int
		written, allowed int64
	}{
		"the smallest frames":    {9, 0, readBurst + seconds*readRate},
		"full buffers":           {4 << 10, 0, readBurst + seconds*readRate},
		"one enormous read":      {1 << 20, 0, readBurst + seconds*readRate},
		"who is sent a lot":      {26, 1 << 20, readBurst + seconds*(readRate+1<<20/readPerWritten)},
		"who is answered likely": {17, readRate, readBurst + seconds*(readRate+readRate/readPerWritten)},
	} {
		got := flow(tt.read, tt.written, during)
		if slack := tt.allowed / 50; got < tt.allowed-slack-readBurst || got > tt.allowed+slack+int64(tt.read) {
			t.Errorf("%s: %d bytes in %v, want about %d", name, got, during, tt.allowed)
		}
	}
}

// A connection that was quiet for long has its burst again, and no more.
func TestMeterIdle(t *testing.T) {
	now := time.Unix(1000, 0)
	m := newMeter(now)
	for _, idle := range []time.Duration{time.Minute, 1000 * time.Hour, 1 << 62} {
		m.take(readBurst)
		m.written.Add(1 << 50)
		if wait := m.fill(now.Add(idle)); wait != 0 || m.left != readBurst {
			t.Errorf("after %v there is %v to wait and %d bytes to read, want %d", idle, wait, m.left, readBurst)
		}
		now = now.Add(idle)
	}
}

// heldUp returns a connection that has sent far more than it may, and the
// client's end.
func heldUp(t *testing.T) (c *clientConn, client net.Conn, throttled prometheus.Counter) {
	t.Helper()
	throttled = prometheus.NewCounter(prometheus.CounterOpts{Name: "throttled"})
	client, conn := redistest.Pair(t, &publicListener{Listener: redistest.Listen(t), throttled: throttled})
	c = conn.(*clientConn)
	c.meter.take(1 << 30) // nine hours
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	return c, client, throttled
}

// Whoever waits in a read of a connection that is held up is told at once of
// the deadline, which is how net/http and streams are woken, and of the end.
func TestPauseEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(*clientConn) error
		want error
	}{
		"a deadline that has passed": {func(c *clientConn) error { return c.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"a deadline for both":        {func(c *clientConn) error { return c.SetDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"a deadline to come":         {func(c *clientConn) error { return c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) }, os.ErrDeadlineExceeded},
		"closed":                     {(*clientConn).Close, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, throttled := heldUp(t)
			ended := make(chan error, 1)
			go func() { _, err := c.Read(make([]byte, 1)); ended <- err }()
			redistest.Eventually(t, 10*time.Second, "a pause", func() bool { return c.paused.Load() != nil })
			if err := tt.end(c); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				if !errors.Is(err, tt.want) {
					t.Errorf("the read ended with %v, want %v", err, tt.want)
				}
			case <-time.After(15 * time.Second):
				t.Fatal("the read goes on")
			}
			var d dto.Metric
			if err := throttled.Write(&d); err != nil || d.GetCounter().GetValue() != 1 {
				t.Errorf("%v connections are counted, want 1 (%v)", d.GetCounter().GetValue(), err)
			}
		})
	}
}

// A deadline that is moved to later, as net/http does between requests, does
// not end the pause.
func TestPauseOutlivesDeadlines(t *testing.T) {
	c, _, _ := heldUp(t)
	c.meter = newMeter(time.Now())
	c.meter.take(readBurst + readRate/2) // half a second
	for range 10 {
		if err := c.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		c.nudge()
	}
	if n, err := c.Read(make([]byte, 10)); n != 1 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if c.meter.left <= -10 {
		t.Errorf("it was read before its time: %d bytes too early", -c.meter.left)
	}
}

// What the gateway gets of a connection that it takes over is TCP as it is, so
// that it can be parked; a proxy's is never anything else.
func TestListenerVanishes(t *testing.T) {
	c, _, _ := heldUp(t)
	if c.Unwrap() != net.Conn(c.TCPConn) {
		t.Error("what is left is not the bare connection")
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	_, conn := redistest.Pair(t, &publicListener{Listener: redistest.Listen(t), trusted: trusted})
	if _, ok := conn.(*net.TCPConn); !ok {
		t.Errorf("a proxy has a %T", conn)
	}
}
