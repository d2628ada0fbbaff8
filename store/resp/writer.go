package resp

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"iter"
	"sync"
)

// Writer has Read take one reply that somebody else reads from a connection, such
// as the raw reply of a go-redis command. Read runs as a coroutine while bytes are
// written, and waits for more in between. Err has to be called at the end.
type Writer struct {
	Read func(*Reader) error

	next  func() (struct{}, bool) // runs Read until it needs more
	stop  func()
	piece io.Reader // what is being written
	taken int64     // of the piece, in bytes
	err   error
}

var errIncomplete = fmt.Errorf("%w: it is not complete", ErrProtocol)

// readers holds Readers for Writers, for their buffers.
var readers = sync.Pool{New: func() any { return NewReader(nil, nil) }}

// Err ends the reply, and returns the error of Read. It is ErrProtocol if the
// reply is not complete, or is followed by another one.
func (w *Writer) Err() error {
	if w.next == nil {
		return errIncomplete
	}
	w.stop()
	return w.err
}

// Write takes a piece of the reply. It never fails, because the rest of the
// reply has to be taken off the connection.
func (w *Writer) Write(b []byte) (int, error) {
	n, err := w.ReadFrom(bytes.NewReader(b))
	return int(n), err
}

// ReadFrom takes a piece of the reply. The error is that of r.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	if w.next == nil {
		w.next, w.stop = iter.Pull(w.run)
	}
	w.piece, w.taken = r, 0
	w.next()
	rest, err := io.Copy(io.Discard, r) // nothing, or the error of r, unless Read has returned
	if rest > 0 {
		w.err = cmp.Or(w.err, fmt.Errorf("%w: %d bytes after its end", ErrProtocol, rest))
	}
	return w.taken + rest, err
}

// run calls Read, and yields whenever a piece has been taken.
func (w *Writer) run(yield func(struct{}) bool) {
	r := readers.Get().(*Reader)
	defer readers.Put(r)
	r.depth = 0
	r.buf.Reset(source(func(p []byte) (int, error) {
		for {
			n, err := w.piece.Read(p)
			if w.taken += int64(n); n > 0 {
				return n, nil
			}
			if err != nil && !yield(struct{}{}) {
				return 0, errIncomplete
			}
		}
	}))
	w.err = w.Read(r)
	if n := r.buf.Buffered(); n > 0 {
		w.err = cmp.Or(w.err, fmt.Errorf("%w: %d bytes after its end", ErrProtocol, n))
	}
}

// source is an io.Reader.
type source func(p []byte) (int, error)

func (s source) Read(p []byte) (int, error) { return s(p) }
