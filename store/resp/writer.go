package resp

import (
	"fmt"
	"io"
	"sync"
)

// Writer has a Sink take one reply that somebody else has read from a
// connection, such as the raw reply of a go-redis command. The zero Writer with
// a Sink is ready.
type Writer struct {
	Sink Sink

	parser *Parser
	done   bool
	err    error
}

// Err returns what was wrong with the reply, ErrProtocol if it is not complete.
func (w *Writer) Err() error {
	if w.err == nil && !w.done {
		return fmt.Errorf("%w: it is not complete", ErrProtocol)
	}
	return w.err
}

// Write takes a piece of the reply. It never fails, because the rest of the
// reply has to be taken off the connection; see Err.
func (w *Writer) Write(b []byte) (int, error) {
	if w.parser == nil {
		w.parser = NewParser(nil)
	}
	for rest := b; len(rest) > 0 && w.err == nil; {
		if w.done {
			w.err = fmt.Errorf("%w: %.20q after its end", ErrProtocol, rest)
			break
		}
		var n int
		n, w.done, w.err = w.parser.Feed(rest, w.Sink)
		rest = rest[n:]
	}
	return len(b), nil
}

// scratch holds buffers for ReadFrom.
var scratch = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// ReadFrom takes a piece of the reply from r, without a buffer of its own for
// each.
func (w *Writer) ReadFrom(r io.Reader) (n int64, err error) {
	buf := scratch.Get().(*[bufferSize]byte)
	defer scratch.Put(buf)
	for {
		m, err := r.Read(buf[:])
		_, _ = w.Write(buf[:m])
		n += int64(m)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
