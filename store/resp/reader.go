package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// Kind is the first byte of a RESP value.
type Kind byte

// The kinds of values. The null string and the null array of RESP2 are read as
// Null, BulkErr as SimpleErr. Push and Attribute stand beside the values.
const (
	Simple    Kind = '+'
	SimpleErr Kind = '-'
	Integer   Kind = ':'
	Bulk      Kind = '$'
	Array     Kind = '*'
	Null      Kind = '_'
	Boolean   Kind = '#'
	Double    Kind = ','
	BigNumber Kind = '('
	BulkErr   Kind = '!'
	Verbatim  Kind = '='
	Map       Kind = '%'
	Set       Kind = '~'
	Push      Kind = '>'
	Attribute Kind = '|'
)

// Error is an error reply of the server, such as "WRONGTYPE Operation …".
type Error string

func (e Error) Error() string { return string(e) }

// RedisError makes Error a redis.Error of go-redis as well.
func (e Error) RedisError() {}

// ErrProtocol is wrapped by every error about bytes that are not RESP, or not
// of the form that was expected.
var ErrProtocol = errors.New("the server's reply is not of the expected form")

const (
	// bufferSize is how much one read takes, and how long a line may be, in bytes.
	bufferSize = 16 << 10
	// maxText is the longest string that Text returns, in bytes.
	maxText = bufferSize - len("\r\n")
	// maxDepth is how deep a value may be nested: deeper than any of Redis.
	maxDepth = 16
	// maxElements is the most elements, or pairs, that an aggregate may announce:
	// twice as many are an int of 32 bits.
	maxElements = 1 << 29
	// maxBulk is the longest string that may be announced, in bytes: Redis's
	// own limit.
	maxBulk = 512 << 20
)

// Header is what a value begins with. After Next has returned it, the elements of
// an aggregate are to be read one by one, and a string by Append, Text or Skip.
type Header struct {
	Kind Kind
	Len  int // the elements of an aggregate, 2n of a map of n pairs; else the size in bytes

	text []byte // of a kind that is a line; valid until the next read
}

// IsAggregate reports whether the value has elements.
func (h Header) IsAggregate() bool { return h.Kind == Array || h.Kind == Map || h.Kind == Set }

// IsString reports whether the value is a string, or a number in decimals.
func (h Header) IsString() bool { return h.Kind == Bulk || h.Kind == Simple || h.Kind == Integer }

// Reader reads values from a source of bytes. It holds no more of a value than
// its buffer and what it was asked to append. It belongs to one goroutine, and is
// of no more use after an error that is no error reply.
type Reader struct {
	buf    *bufio.Reader
	pushes PushFunc
	inPush bool
	depth  int // of aggregates that a method of Reader reads
}

// PushFunc reads the n elements of a push. Nil: a push is an error.
type PushFunc func(r *Reader, n int) error

// NewReader returns a Reader of what src has.
func NewReader(src io.Reader, pushes PushFunc) *Reader {
	return &Reader{buf: bufio.NewReaderSize(src, bufferSize), pushes: pushes}
}

// Next reads the beginning of the next value, and before that the pushes and
// attributes that come first. Pushes may come between two values and, from Redis
// before 6.2.8 and 7.0.5, inside of one. Attributes are skipped.
func (r *Reader) Next() (Header, error) {
	for {
		h, err := r.header()
		if err != nil {
			return h, err
		}
		if aside, err := r.readAside(h); !aside || err != nil {
			return h, err
		}
	}
}

// Reply is Next for the beginning of a reply: an error reply is an Error.
func (r *Reader) Reply() (Header, error) {
	h, err := r.Next()
	if err == nil && h.Kind == SimpleErr {
		err = Error(h.text)
	}
	return h, err
}

// Pushes reads what has arrived of the source while no reply is awaited.
func (r *Reader) Pushes() error {
	for r.buf.Buffered() > 0 {
		h, err := r.header()
		if err != nil {
			return err
		}
		if aside, err := r.readAside(h); err != nil {
			return err
		} else if !aside {
			return fmt.Errorf("%w: a reply of kind %q to no command", ErrProtocol, h.Kind)
		}
	}
	return nil
}

// readAside reads a push or an attribute, and reports whether h is of one.
func (r *Reader) readAside(h Header) (aside bool, err error) {
	switch {
	case h.Kind == Attribute:
		return true, r.nested(h.Len, r.skipNext)
	case h.Kind != Push:
		return false, nil
	case r.pushes == nil || r.inPush:
		return true, fmt.Errorf("%w: a push that was not expected", ErrProtocol)
	}
	r.inPush = true
	err = r.pushes(r, h.Len)
	r.inPush = false
	return true, err
}

// header reads the line that a value begins with.
func (r *Reader) header() (h Header, err error) {
	line, err := r.buf.ReadSlice('\n')
	switch n := len(line); {
	case err == bufio.ErrBufferFull:
		return h, fmt.Errorf("%w: a line of over %d bytes", ErrProtocol, bufferSize)
	case err != nil:
		return h, err
	case n < 3 || line[n-2] != '\r':
		return h, fmt.Errorf("%w: a line of %d bytes that begins with %.20q", ErrProtocol, n, line)
	default:
		h = Header{Kind: Kind(line[0]), Len: n - 3, text: line[1 : n-2]}
	}
	switch h.Kind {
	case Simple, SimpleErr, Integer, Double, BigNumber:
		return h, nil
	case Null:
		if h.Len == 0 {
			return h, nil
		}
	case Boolean:
		if text := string(h.text); text == "t" || text == "f" {
			return h, nil
		}
	case Bulk, Verbatim, BulkErr:
		if err := h.count(maxBulk); err != nil || h.Kind != BulkErr {
			return h, err
		}
		return r.bulkError(h.Len)
	case Array, Set, Push:
		return h, h.count(maxElements)
	case Map, Attribute:
		err := h.count(maxElements)
		h.Len *= 2
		return h, err
	}
	return h, fmt.Errorf("%w: a value that begins with %.20q", ErrProtocol, line)
}

// count reads the length of a string or an aggregate. Null has -1.
func (h *Header) count(most int) error {
	n, err := strconv.Atoi(string(h.text))
	switch {
	case err != nil || n < -1 || n > most, n < 0 && (h.Kind == Push || h.Kind == Attribute):
		return fmt.Errorf("%w: a length of %.20q", ErrProtocol, h.text)
	case n < 0:
		*h = Header{Kind: Null}
	default:
		h.Len, h.text = n, nil
	}
	return nil
}

// bulkError reads the n bytes of an error. No caller needs to know of two kinds
// of errors.
func (r *Reader) bulkError(n int) (Header, error) {
	if n > bufferSize {
		return Header{}, fmt.Errorf("%w: an error of %d bytes", ErrProtocol, n)
	}
	text, err := r.Append(nil, Header{Kind: Bulk, Len: n})
	return Header{Kind: SimpleErr, Len: n, text: text}, err
}

// Append appends the string that the header is of, and returns the result. It
// takes h.Len bytes, so the caller looks at that first.
func (r *Reader) Append(dst []byte, h Header) ([]byte, error) {
	if h.Kind != Bulk && h.Kind != Verbatim {
		return append(dst, h.text...), nil
	}
	n := len(dst)
	dst = slices.Grow(dst, h.Len)[:n+h.Len]
	if _, err := io.ReadFull(r.buf, dst[n:]); err != nil {
		return dst, err
	}
	return dst, r.lineEnd()
}

// Text returns the string that the header is of, which is valid until the next
// read. It skips a value that is no string, or is longer than maxText, and returns
// nil.
func (r *Reader) Text(h Header) ([]byte, error) {
	switch {
	case !h.IsString() || h.Len > maxText:
		return nil, r.Skip(h)
	case h.Kind != Bulk:
		return h.text, nil
	}
	b, err := r.buf.Peek(h.Len + len("\r\n"))
	if err != nil {
		return nil, err
	}
	_, _ = r.buf.Discard(h.Len)
	return b[:h.Len:h.Len], r.lineEnd()
}

// NextText returns the Text of the next value.
func (r *Reader) NextText() ([]byte, error) {
	h, err := r.Next()
	if err != nil {
		return nil, err
	}
	return r.Text(h)
}

// Skip skips what is left of the value that the header is of.
func (r *Reader) Skip(h Header) error {
	switch {
	case h.IsAggregate():
		return r.nested(h.Len, r.skipNext)
	case h.Kind != Bulk && h.Kind != Verbatim:
		return nil
	}
	if _, err := r.buf.Discard(h.Len); err != nil {
		return err
	}
	return r.lineEnd()
}

func (r *Reader) skipNext() error {
	h, err := r.Next()
	if err != nil {
		return err
	}
	return r.Skip(h)
}

// nested calls f for each of n elements, unless they are nested too deep.
func (r *Reader) nested(n int, f func() error) (err error) {
	if r.depth++; r.depth > maxDepth {
		return fmt.Errorf("%w: a value nested deeper than %d", ErrProtocol, maxDepth)
	}
	for i := 0; i < n && err == nil; i++ {
		err = f()
	}
	r.depth--
	return err
}

// lineEnd reads the end of the line after a string.
func (r *Reader) lineEnd() error {
	b, err := r.buf.Peek(2)
	if err != nil {
		return err
	}
	if b[0] != '\r' || b[1] != '\n' {
		return fmt.Errorf("%w: a string that does not end after its length", ErrProtocol)
	}
	_, err = r.buf.Discard(2)
	return err
}
