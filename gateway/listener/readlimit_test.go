package listener

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

// flow has a client send as much as it may for a while, in reads of n bytes, and
// returns how much it sent.
func flow(n int, during time.Duration) (total int) {
	now := time.Unix(1000, 0)
	l := newReadLimiter()
	for end := now.Add(during); now.Before(end); {
		if l.resume.After(now) {
			now = l.resume
			continue
		}
		l.took(n, now)
		total += n
	}
	return total
}

func TestReadLimiterRate(t *testing.T) {
	t.Parallel()
	const during = time.Minute
	allowed := readBurst + int(during.Seconds())*readRate
	for name, n := range map[string]int{"the smallest frames": 9, "full buffers": 4 << 10, "the largest reads": readBurst} {
		if got := flow(n, during); got < allowed*49/50-readBurst || got > allowed*51/50+n {
			t.Errorf("%s: %d bytes in %v, want about %d", name, got, during, allowed)
		}
	}
}

// A connection that was quiet for long has its burst again, and no more.
func TestReadLimiterIdle(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	l := newReadLimiter()
	for _, idle := range []time.Duration{time.Minute, 1000 * time.Hour} {
		now = now.Add(idle)
		if l.took(readBurst, now); l.resume.After(now) {
			t.Errorf("after %v the burst is delayed", idle)
		}
		if l.took(1, now); !l.resume.After(now) {
			t.Errorf("after %v more than the burst is not delayed", idle)
		}
	}
}

// newListener returns a Listener on the loopback.
func newListener(t testing.TB, change func(*Config)) *Listener {
	t.Helper()
	cfg := Config{MaxFDs: 1000, Hijacked: func() int64 { return 0 },
		Throttled: prometheus.NewCounter(prometheus.CounterOpts{Name: "throttled"}), Log: testLog(t)}
	if change != nil {
		change(&cfg)
	}
	l := New(redistest.Listen(t), cfg)
	t.Cleanup(func() { l.Close() })
	return l
}

// limited returns a connection that may be read on after so long, and the
// client's end, which has sent a byte.
func limited(t *testing.T, after time.Duration) (c *conn, client net.Conn, throttled prometheus.Counter) {
	t.Helper()
	l := newListener(t, func(c *Config) { c.Portable = true })
	client, server := redistest.Pair(t, l)
	c = server.(*conn)
	c.limit.resume = time.Now().Add(after)
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	return c, client, l.cfg.Throttled
}

func valueOf(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var d dto.Metric
	if err := c.Write(&d); err != nil {
		t.Fatal(err)
	}
	return d.GetCounter().GetValue()
}

// Whoever waits in a read that is delayed is told at once of the deadline, which
// is how net/http and streams are woken, and of the end.
func TestDelayEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  func(*conn) error
		want error
	}{
		"a deadline that has passed": {func(c *conn) error { return c.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"a deadline for both":        {func(c *conn) error { return c.SetDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"a deadline to come":         {func(c *conn) error { return c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) }, os.ErrDeadlineExceeded},
		"closed":                     {(*conn).Close, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _, throttled := limited(t, time.Hour)
			ended := make(chan error, 1)
			go func() { _, err := c.Read(make([]byte, 1)); ended <- err }()
			redistest.Eventually(t, waitedFor, "a delay", func() bool { return valueOf(t, throttled) == 1 })
			if err := tt.end(c); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				if !errors.Is(err, tt.want) {
					t.Errorf("the read ended with %v, want %v", err, tt.want)
				}
			case <-time.After(waitedFor):
				t.Fatal("the read goes on")
			}
		})
	}
}

// A deadline that is moved to later, as net/http does between requests, does not
// end the delay.
func TestDelayOutlivesDeadlines(t *testing.T) {
	t.Parallel()
	c, _, _ := limited(t, 500*time.Millisecond)
	start := c.limit.resume
	c.headBy.Store(0)
	for range 10 {
		if err := c.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := c.Read(make([]byte, 10)); n != 1 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if early := time.Until(start); early > 0 {
		t.Errorf("it was read %v before its time", early)
	}
}

// A proxy's connection is not limited, and what is left of a connection that is
// hijacked is TCP as it is, so that it can be parked.
func TestListenerVanishes(t *testing.T) {
	t.Parallel()
	l := newListener(t, func(c *Config) {
		c.Portable = true
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	_, server := redistest.Pair(t, l)
	c := server.(*conn)
	if c.limit != nil {
		t.Error("a proxy is limited")
	}
	if c.Unwrap() != net.Conn(c.TCPConn) {
		t.Error("what is left is not the bare connection")
	}
}

// net/http begins to count the time for a head when it gets a connection, and
// anew with each request; the first head has to come within the time from the
// accept on.
func TestFirstHeadHasOneDeadline(t *testing.T) {
	t.Parallel()
	c, _, _ := limited(t, time.Hour)
	c.headBy.Store(time.Now().Add(-time.Second).UnixNano())
	_ = c.SetReadDeadline(time.Now().Add(time.Hour))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read after the time for the head ends with %v", err)
	}
	_ = c.SetReadDeadline(time.Time{}) // net/http has read the head
	c.limit.resume = time.Time{}
	_ = c.SetReadDeadline(time.Now().Add(time.Hour))
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("after the head: %d bytes, %v", n, err)
	}
}
