package listener

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// A connection that is closed before it was served is reset. After an orderly end
// without an answer Firefox closes an EventSource for good.
func TestUnservedConnectionIsReset(t *testing.T) {
	t.Parallel()
	for name, portable := range map[string]bool{"reactor": false, "goroutines": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			full := newListener(t, func(c *Config) { c.Portable, c.MaxFDs = portable, 0 })
			c, err := net.Dial("tcp", full.Addr().String())
			if err == nil { // the reset may be quicker
				err = endOf(t, c)
			}
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("without a place the client is told %v, want a reset", err)
			}

			closed := newListener(t, func(c *Config) { c.Portable = portable })
			var waiting []net.Conn
			for range 3 {
				c, err := net.Dial("tcp", closed.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				waiting = append(waiting, c)
			}
			closed.Close()
			for _, c := range waiting {
				if err := endOf(t, c); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("without a request the client is told %v, want a reset", err)
				}
			}
		})
	}
}

// endOf returns how a connection ends, from which nothing is to come, and closes it.
func endOf(t *testing.T, c net.Conn) error {
	t.Helper()
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(waitedFor))
	n, err := c.Read(make([]byte, 1))
	if n > 0 {
		t.Error("the client is sent something")
	}
	return err
}
