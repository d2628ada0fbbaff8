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
	// bufferSize is how much one read takes, in bytes.
	bufferSize = 16 << 10
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
	conn     socket
	patience time.Duration
	parser   *Parser

	out []byte // commands that were not sent yet
	in  [bufferSize]byte
	// in[start:end] has arrived and was not parsed yet.
	start, end int

	deadline    time.Time // of reads, as far as this goroutine knows
	writtenBy   time.Time // the deadline of writes
	lastArrival time.Time // of any byte
	woken       atomic.Bool
}

// NewConn returns a Conn over a connection on which nothing was sent yet. It
// counts as dead when a reply is due and no byte has arrived for patience.
// pushes takes what the server sends by itself; nil if nothing is expected.
func NewConn(conn net.Conn, patience time.Duration, pushes Sink) *Conn {
	return &Conn{conn: newSocket(conn), patience: patience, parser: NewParser(pushes), lastArrival: time.Now()}
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

// Reply has sink take the next reply. Errors are those of the connection, of
// the protocol and of the sinks; after one the Conn is of no more use.
func (c *Conn) Reply(sink Sink) error {
	var due time.Time
	for {
		done, err := c.parse(sink)
		if done || err != nil {
			return err
		}
		if due.IsZero() {
			due = time.Now()
		}
		if due, err = c.receiveReply(due); err != nil {
			return err
		}
	}
}

// receiveReply waits for bytes of a reply that has been due since due, and
// returns from when on more of them are due.
func (c *Conn) receiveReply(due time.Time) (time.Time, error) {
	until, graced := due.Add(c.patience), false
	for {
		if _, err := c.setReadDeadline(until); err != nil {
			return due, err
		}
		n, err := c.receive()
		switch {
		case n > 0:
			return c.lastArrival, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return due, err
		case time.Now().Before(until): // an earlier deadline, or Wake
		case graced:
			return due, fmt.Errorf("%w: no byte of a reply for %s", ErrSilent, c.patience)
		default:
			until, graced = time.Now().Add(graceRead), true
		}
	}
}

// Do sends one command, whose reply is small, and returns the reply as Value
// has it. An error reply is an Error.
func (c *Conn) Do(args ...string) (any, error) {
	c.Append(args...)
	if err := c.Flush(); err != nil {
		return nil, err
	}
	var v Value
	if err := c.Reply(&v); err != nil {
		return nil, err
	}
	return v.Any()
}

// Wait takes pushes as they arrive, until there was at least a part of one,
// until Wake was called, or until the time has come. What has arrived already
// it takes in any case.
func (c *Conn) Wait(until time.Time) error {
	for {
		took := c.start < c.end
		if _, err := c.parse(nil); err != nil {
			return err
		}
		if took || c.woken.Swap(false) || !time.Now().Before(until) {
			return nil
		}
		moved, err := c.setReadDeadline(until)
		if err != nil {
			return err
		}
		if moved && c.woken.Load() {
			continue // Wake may have come before the deadline was set
		}
		if _, err := c.receive(); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
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

// parse has the sink, and that of the pushes, take what has arrived.
func (c *Conn) parse(sink Sink) (done bool, err error) {
	n, done, err := c.parser.Feed(c.in[c.start:c.end], sink)
	c.start += n
	return done, err
}

// setReadDeadline has receive wait at most until a time, and reports whether it
// had to move the deadline. An earlier one is good enough, because whoever waits
// looks at the time: to move it for each wait would cost as much as the read.
func (c *Conn) setReadDeadline(until time.Time) (moved bool, err error) {
	if !c.deadline.IsZero() && !c.deadline.After(until) {
		return false, nil
	}
	c.deadline = until
	return true, c.conn.SetReadDeadline(until)
}

// receive waits for more bytes, at most until the deadline. All that has
// arrived before was parsed.
func (c *Conn) receive() (n int, err error) {
	n, err = c.conn.Read(c.in[:])
	if err != nil {
		c.deadline = time.Time{} // it has passed, or Wake has moved it
	}
	if n == 0 {
		return 0, err
	}
	c.lastArrival = time.Now()
	c.start, c.end = 0, n
	return n, nil
}
