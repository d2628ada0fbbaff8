package resp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// maxRetained is the largest buffer for commands that is kept, in bytes.
	maxRetained = 256 << 10
	// graceRead is how long is looked for bytes once the server has been silent
	// for too long: on a starved machine they may have come in time, and nobody
	// was there to take them.
	graceRead = 10 * time.Millisecond
)

// ErrSilent is returned when nothing at all has arrived for the Conn's
// patience although a reply is due.
var ErrSilent = errors.New("the server is silent")

// past is a deadline that ends a read at once.
var past = time.Unix(1, 0)

// Conn is a connection on which commands are answered in order. It belongs to
// one goroutine, but for Wake and Close, which any may call.
type Conn struct {
	// Reader reads the replies. After an error that is no error reply the Conn is
	// of no more use.
	Reader *Reader

	conn     socket
	patience time.Duration
	waiting  bool   // Reader reads once, and not for as long as the patience lasts
	out      []byte // commands that were not sent yet

	deadline    time.Time // of reads, as far as this goroutine knows
	writtenBy   time.Time // the deadline of writes
	lastArrival time.Time // of any byte
	woken       atomic.Bool
}

// NewConn returns a Conn over a connection on which nothing was sent yet. It
// counts as dead when a reply is due and no byte has arrived for patience.
// pushes takes what the server sends by itself; nil if nothing is expected.
func NewConn(conn net.Conn, patience time.Duration, pushes PushFunc) *Conn {
	c := &Conn{conn: newSocket(conn), patience: patience, lastArrival: time.Now()}
	c.Reader = NewReader(source(c.receive), pushes)
	return c
}

// Append adds a command to those that Flush sends.
func (c *Conn) Append(args ...string) {
	c.out = appendHeader(c.out, Array, len(args))
	for _, a := range args {
		c.out = appendHeader(c.out, Bulk, len(a))
		c.out = append(append(c.out, a...), "\r\n"...)
	}
}

func appendHeader(b []byte, kind Kind, n int) []byte {
	return append(strconv.AppendInt(append(b, byte(kind)), int64(n), 10), "\r\n"...)
}

// Flush sends the commands that were added. It waits for the server to take
// them, at most for the patience and at least for half of it.
func (c *Conn) Flush() error {
	if len(c.out) == 0 {
		return nil
	}
	// The deadline is moved only when it has come near: to move it for every
	// command would cost more than the command.
	if now := time.Now(); c.writtenBy.Sub(now) < c.patience/2 {
		c.writtenBy = now.Add(c.patience)
		if err := c.conn.SetWriteDeadline(c.writtenBy); err != nil {
			return err
		}
	}
	_, err := c.conn.Write(c.out)
	if c.out = c.out[:0]; cap(c.out) > maxRetained {
		c.out = nil
	}
	return err
}

// Do sends one command, whose reply is small, and returns the reply as
// Reader.Value has it.
func (c *Conn) Do(args ...string) (any, error) {
	c.Append(args...)
	if err := c.Flush(); err != nil {
		return nil, err
	}
	return c.Reader.Value()
}

// Wait takes pushes as they arrive, until there was one, until Wake was called,
// or until the time has come. What has arrived already it takes in any case.
func (c *Conn) Wait(until time.Time) error {
	for c.Reader.buf.Buffered() == 0 {
		if c.woken.Swap(false) || !time.Now().Before(until) {
			return nil
		}
		moved, err := c.setReadDeadline(until)
		if err != nil {
			return err
		}
		if moved && c.woken.Load() {
			continue // Wake may have come before the deadline was set
		}
		c.waiting = true
		_, err = c.Reader.buf.Peek(1)
		c.waiting = false
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	return c.Reader.Pushes()
}

// Wake ends a Wait, or the next one if none is under way.
func (c *Conn) Wake() {
	if !c.woken.Swap(true) {
		_ = c.conn.SetReadDeadline(past)
	}
}

// LastArrival returns when the last byte arrived; at first, when the Conn was
// made.
func (c *Conn) LastArrival() time.Time { return c.lastArrival }

// Close closes the connection. It ends whatever waits for it.
func (c *Conn) Close() error { return c.conn.Close() }

// setReadDeadline has read wait at most until a time, and reports whether it
// had to move the deadline. An earlier one is good enough, because whoever waits
// looks at the time: to move it for each wait would cost as much as the read.
func (c *Conn) setReadDeadline(until time.Time) (moved bool, err error) {
	if !c.deadline.IsZero() && !c.deadline.After(until) {
		return false, nil
	}
	c.deadline = until
	return true, c.conn.SetReadDeadline(until)
}

// receive is the source of Reader. It waits for bytes that are due: for the
// patience, and for graceRead after it.
func (c *Conn) receive(p []byte) (int, error) {
	if c.waiting {
		return c.read(p)
	}
	until, graced := time.Now().Add(c.patience), false
	for {
		if _, err := c.setReadDeadline(until); err != nil {
			return 0, err
		}
		n, err := c.read(p)
		switch {
		case n > 0 || !errors.Is(err, os.ErrDeadlineExceeded):
			return n, err
		case time.Now().Before(until): // an earlier deadline, or Wake
		case graced:
			return 0, fmt.Errorf("%w: no byte of a reply for %s", ErrSilent, c.patience)
		default:
			until, graced = time.Now().Add(graceRead), true
		}
	}
}

// read waits for bytes until the deadline.
func (c *Conn) read(p []byte) (int, error) {
	n, err := c.conn.Read(p)
	if err != nil {
		c.deadline = time.Time{} // it has passed, or Wake has moved it
	}
	if n > 0 {
		c.lastArrival, err = time.Now(), nil
	}
	return n, err
}
