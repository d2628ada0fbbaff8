package redisstream

import (
	"fmt"

	"github.com/sse-gateway/sse-gateway/store/resp"
)

// TransactionReader is a resp.Sink for the reply to EXEC of a transaction of
// XINFO STREAM and XRANGE. It takes one reply.
type TransactionReader struct {
	Info    InfoReader
	Entries *EntryReader // not nil

	err   error
	depth int
	index int // of the reply under way
}

// Err returns the error reply, if the reply as a whole is one, and ErrAborted
// for one that is null.
func (r *TransactionReader) Err() error { return r.err }

func (r *TransactionReader) part() resp.Sink {
	if r.index == 0 {
		return &r.Info
	}
	return r.Entries
}

// Begin is of resp.Sink.
func (r *TransactionReader) Begin(kind resp.Kind, n int) (err error) {
	if r.depth == 0 {
		if kind != resp.Array || n != 2 {
			return fmt.Errorf("%w: a transaction of two commands is answered with %d elements of kind %q", resp.ErrProtocol, n, kind)
		}
	} else {
		err = r.part().Begin(kind, n)
	}
	r.depth++
	return err
}

// Reserve is of resp.Sink.
func (r *TransactionReader) Reserve(n int) []byte {
	if r.depth == 0 {
		return nil
	}
	return r.part().Reserve(n)
}

// Scalar is of resp.Sink.
func (r *TransactionReader) Scalar(kind resp.Kind, s []byte, size int) error {
	if r.depth > 0 {
		err := r.part().Scalar(kind, s, size)
		if r.depth == 1 {
			r.index++
		}
		return err
	}
	switch kind {
	case resp.SimpleErr:
		r.err = resp.Error(s)
	case resp.Null:
		r.err = ErrAborted
	default:
		return fmt.Errorf("%w: EXEC is answered with a value of kind %q", resp.ErrProtocol, kind)
	}
	return nil
}

// End is of resp.Sink.
func (r *TransactionReader) End() (err error) {
	if r.depth--; r.depth > 0 {
		err = r.part().End()
		if r.depth == 1 {
			r.index++
		}
	}
	return err
}
