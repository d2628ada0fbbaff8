package store

import (
	"errors"
	"net"
	"os"
	"strconv"
	"time"
)

// wire speaks RESP2 on a connection that go-redis has opened: for the two
// things that a session does for every event, to learn that a key has changed
// and to read it. They are on the way of every event, and each costs little
// more than its system calls here. go-redis may use the connection in between,
// when no reply is outstanding; see rested.
//
// One goroutine at a time may send and one may read; they may be two.
type wire struct {
	conn socket

	// Owned by the sender.
	out    []byte // commands that were not sent yet
	sendBy time.Time

	// Owned by the reader.
	in       []byte    // what was received; in[:start] was returned already
	start    int       // where the next reply begins
	replyBy  time.Time // the deadline of the connection
	patience time.Duration
}

const (
	// wireBuffer is how much one read takes, in bytes. It grows for a larger
	// reply and shrinks again.
	wireBuffer = 16 << 10
	// wireKept is the largest buffer that is kept for the next reply, in bytes.
	wireKept = 256 << 10
	// deadlineStep is by how much a deadline may be short of the patience: to
	// move it for every reply would cost more than the reply.
	deadlineStep = replyTimeout / 4
	// lastLook is how long is looked for a reply once its time is over.
	lastLook = 10 * time.Millisecond
)

// newWire takes over a connection on which no reply is outstanding. Replies
// are waited for as long as patience says, 0 for ever.
func newWire(conn net.Conn, patience time.Duration) *wire {
	return &wire{conn: newSocket(conn), patience: patience}
}

// rested has to be called after go-redis has used the connection: its
// deadlines are not the wire's.
func (w *wire) rested() { w.sendBy, w.replyBy = time.Time{}, time.Time{} }

// command adds a command to those that send writes.
func (w *wire) command(args ...string) {
	w.out = appendRESPHead(w.out, '*', len(args))
	for _, a := range args {
		w.out = appendRESPHead(w.out, '$', len(a))
		w.out = append(append(w.out, a...), "\r\n"...)
	}
}

func appendRESPHead(b []byte, kind byte, n int) []byte {
	return append(strconv.AppendInt(append(b, kind), int64(n), 10), "\r\n"...)
}

// send writes the commands that were added.
func (w *wire) send() error {
	if now := time.Now(); w.sendBy.Sub(now) < replyTimeout-deadlineStep {
		w.sendBy = now.Add(replyTimeout)
		if err := w.conn.SetWriteDeadline(w.sendBy); err != nil {
			return err
		}
	}
	_, err := w.conn.Write(w.out)
	if w.out = w.out[:0]; cap(w.out) > wireKept {
		w.out = nil
	}
	return err
}

// reply returns the next reply. It is valid until the next call. Errors are
// those of the connection; an error reply is a reply.
func (w *wire) reply() ([]byte, error) {
	scan := respScan{need: 1}
	for {
		n, err := scan.advance(w.in[w.start:])
		if err != nil {
			return nil, err
		}
		if n > 0 {
			raw := w.in[w.start : w.start+n : w.start+n]
			w.start += n
			return raw, nil
		}
		if err := w.receive(); err != nil {
			return nil, err
		}
	}
}

// replyTo has k take the next reply, piece by piece, so that it is never held as
// a whole but by k. Errors are those of the connection.
func (w *wire) replyTo(k *keeper) error {
	for {
		w.start += k.feed(w.in[w.start:])
		if k.complete {
			return nil
		}
		if err := w.receive(); err != nil {
			return err
		}
	}
}

// buffered reports whether there is more that was received already.
func (w *wire) buffered() bool { return w.start < len(w.in) }

// receive waits for more bytes.
func (w *wire) receive() error {
	w.makeRoom()
	if now := time.Now(); w.patience > 0 && w.replyBy.Sub(now) < w.patience-deadlineStep {
		w.replyBy = now.Add(w.patience)
		if err := w.conn.SetReadDeadline(w.replyBy); err != nil {
			return err
		}
	}
	n, err := w.conn.Read(w.in[len(w.in):cap(w.in)])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// On a starved machine it may have come in time, and nobody was there
		// to take it.
		w.replyBy = time.Time{}
		if err := w.conn.SetReadDeadline(time.Now().Add(lastLook)); err != nil {
			return err
		}
		n, err = w.conn.Read(w.in[len(w.in):cap(w.in)])
	}
	w.in = w.in[:len(w.in)+n]
	if n > 0 {
		return nil
	}
	return err
}

// makeRoom makes room in the buffer for what comes next.
func (w *wire) makeRoom() {
	switch rest := w.in[w.start:]; {
	case len(rest) == 0 && cap(w.in) <= wireKept && cap(w.in) > 0:
		w.in = w.in[:0]
	case len(rest) == 0:
		w.in = make([]byte, 0, wireBuffer)
	case len(rest) == cap(w.in) || cap(w.in)-len(w.in) < wireBuffer/4:
		w.in = append(make([]byte, 0, max(2*len(rest), wireBuffer)), rest...)
	default:
		return
	}
	w.start = 0
}

// respScan finds the end of a reply without looking at any byte twice, however
// it comes in.
type respScan struct {
	need int // values that are still to come; 0: the reply is complete
	pos  int // up to where it was looked at
}

// advance looks at what there is of the reply and returns its length, 0 if it
// is not complete.
func (s *respScan) advance(b []byte) (int, error) {
	for s.need > 0 {
		r := respReader{b[min(s.pos, len(b)):]}
		before := len(r.b)
		if before == 0 {
			return 0, nil
		}
		kind, rest, err := r.line()
		if err != nil {
			return 0, nil // the line is not complete
		}
		size := before - len(r.b)
		switch kind {
		case '*', '$':
			n, err := strconv.Atoi(string(rest))
			if err != nil || n < -1 {
				return 0, errReply
			}
			if kind == '*' {
				s.need += max(n, 0)
			} else if n >= 0 {
				size += n + len("\r\n")
			}
		case '+', '-', ':':
		default:
			return 0, errReply
		}
		s.need--
		s.pos += size
	}
	if s.pos > len(b) { // the last value is not complete
		return 0, nil
	}
	return s.pos, nil
}
