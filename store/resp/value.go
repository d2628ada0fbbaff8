package resp

import (
	"errors"
	"fmt"
	"strconv"
)

// maxValue is the most bytes that a Value holds: the CLUSTER NODES of a
// thousand nodes is a fifth of it.
const maxValue = 1 << 20

// valueOverhead is what an element costs besides its bytes.
const valueOverhead = 32

// Value is a Sink for small replies. It holds them as a string, an int64, a
// bool, nil, an Error, or a []any of these. A map is a []any of its keys and
// values in turn, and a number that is no integer is its text. The zero Value is
// ready for one reply.
type Value struct {
	v    any
	open [][]any
	size int
}

// Any returns the value, and the error if it is one.
func (v *Value) Any() (any, error) {
	if err, ok := v.v.(Error); ok {
		return nil, err
	}
	return v.v, nil
}

// Begin is of Sink.
func (v *Value) Begin(_ Kind, n int) error {
	v.open = append(v.open, make([]any, 0, min(n, 16)))
	return v.grow(0)
}

// Reserve is of Sink.
func (v *Value) Reserve(n int) []byte {
	if v.size+n > maxValue {
		return nil // Scalar returns the error
	}
	return make([]byte, n)
}

// Scalar is of Sink.
func (v *Value) Scalar(kind Kind, s []byte, size int) error {
	if err := v.grow(size); err != nil {
		return err
	}
	switch kind {
	case Null:
		return v.add(nil)
	case Integer:
		n, err := strconv.ParseInt(string(s), 10, 64)
		if err != nil {
			return fmt.Errorf("%w: an integer of %.20q", ErrProtocol, s)
		}
		return v.add(n)
	case SimpleErr:
		return v.add(Error(s))
	case Boolean:
		return v.add(string(s) == "t")
	case Verbatim: // three letters and a colon say how it is written
		if len(s) < 4 || s[3] != ':' {
			return fmt.Errorf("%w: a verbatim string of %.20q", ErrProtocol, s)
		}
		s = s[4:]
	}
	return v.add(string(s))
}

// End is of Sink.
func (v *Value) End() error {
	last := len(v.open) - 1
	a := v.open[last]
	v.open = v.open[:last]
	return v.add(a)
}

func (v *Value) add(x any) error {
	if last := len(v.open) - 1; last >= 0 {
		v.open[last] = append(v.open[last], x)
	} else {
		v.v = x
	}
	return nil
}

var errTooLarge = errors.New("the server's reply is larger than expected")

func (v *Value) grow(n int) error {
	if v.size += n + valueOverhead; v.size > maxValue {
		return errTooLarge
	}
	return nil
}

// Status is a Sink that skips a reply and keeps only whether it is an error.
// The zero Status is ready for one reply.
type Status struct {
	err   error
	depth int
}

// Err returns the error reply, nil if the reply was none.
func (s *Status) Err() error { return s.err }

// Begin, Reserve, Scalar and End are of Sink.
func (s *Status) Begin(Kind, int) error { s.depth++; return nil }
func (s *Status) Reserve(int) []byte    { return nil }
func (s *Status) End() error            { s.depth--; return nil }

func (s *Status) Scalar(kind Kind, text []byte, _ int) error {
	if s.depth == 0 && kind == SimpleErr {
		s.err = Error(text)
	}
	return nil
}
