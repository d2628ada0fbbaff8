package resp

import (
	"errors"
	"fmt"
	"strconv"
)

const (
	// maxValue is the most bytes that Value returns: the CLUSTER NODES of a
	// thousand nodes is a fifth of it.
	maxValue = 1 << 20
	// valueOverhead is what an element costs besides its bytes.
	valueOverhead = 32
)

var errTooLarge = errors.New("the server's reply is larger than expected")

// Value reads a small reply: a string, an int64, a bool, nil, or a []any of these
// and of Errors. A map is a []any of its keys and values in turn, and a number
// that is no integer is its text. An error reply is the error.
func (r *Reader) Value() (any, error) {
	room := maxValue
	v, err := r.value(&room)
	if e, ok := v.(Error); ok && err == nil {
		return nil, e
	}
	return v, err
}

func (r *Reader) value(room *int) (v any, err error) {
	h, err := r.Next()
	if err != nil {
		return nil, err
	}
	if *room -= valueOverhead; !h.IsAggregate() {
		*room -= h.Len
	}
	if *room < 0 {
		return nil, errTooLarge
	}
	if h.IsAggregate() {
		all := make([]any, 0, min(h.Len, 16))
		err := r.nested(h.Len, func() error {
			v, err := r.value(room)
			all = append(all, v)
			return err
		})
		return all, err
	}
	b, err := r.Append(nil, h)
	if err != nil {
		return nil, err
	}
	s := string(b)
	switch h.Kind {
	case Null:
		return nil, nil
	case Integer:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: an integer of %.20q", ErrProtocol, s)
		}
		return n, nil
	case SimpleErr:
		return Error(s), nil
	case Boolean:
		return s == "t", nil
	case Verbatim: // three letters and a colon say how it is written
		if len(s) < 4 || s[3] != ':' {
			return nil, fmt.Errorf("%w: a verbatim string of %.20q", ErrProtocol, s)
		}
		return s[4:], nil
	}
	return s, nil
}

// Status reads a reply of which only the error is of interest.
func (r *Reader) Status() error {
	h, err := r.Reply()
	if err != nil {
		return err
	}
	return r.Skip(h)
}
