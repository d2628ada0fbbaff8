package resp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Kind is the first byte of a RESP value.
type Kind byte

// The kinds that a Sink sees. The null string and the null array of RESP2 are
// seen as Null, BulkErr as SimpleErr, and Attribute not at all.
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

// Sink takes the elements of one value in the order in which they arrive. An
// error of its methods ends the connection.
type Sink interface {
	// Begin opens an aggregate of n elements. A map of n pairs has 2n.
	Begin(kind Kind, n int) error
	// Reserve returns where the n bytes of the string that follows are stored,
	// or nil if they are to be skipped. n is at least 1.
	Reserve(n int) []byte
	// Scalar takes a value of size bytes. s is nil if it was skipped or is
	// null. s is valid during the call, unless Reserve returned it.
	Scalar(kind Kind, s []byte, size int) error
	// End closes the aggregate that was opened last.
	End() error
}

// Error is an error reply of the server, such as "WRONGTYPE Operation …".
type Error string

func (e Error) Error() string { return string(e) }

// RedisError makes Error a redis.Error of go-redis as well.
func (e Error) RedisError() {}

// ErrProtocol is wrapped by every error about bytes that are not RESP, or not
// of the form that was expected.
var ErrProtocol = errors.New("the server's reply is not of the expected form")

const (
	// maxDepth is how deep a value may be nested: deeper than any of Redis, and
	// shallow enough for a Sink that recurses.
	maxDepth = 16
	// maxLine is how long a line may be, in bytes: the longest error text of a
	// script, with room to spare.
	maxLine = 64 << 10
	// maxElements is the most elements, or pairs, that an aggregate may announce:
	// twice as many are an int of 32 bits.
	maxElements = 1 << 29
	// maxBulk is the longest string that may be announced, in bytes: Redis's
	// own limit.
	maxBulk = 512 << 20
)

// Parser pushes values into Sinks, byte by byte if need be. A value that
// arrives in one piece is not copied, but for the strings that its Sink
// reserves room for. It belongs to one goroutine.
type Parser struct {
	// Pushes takes the pushes, which may come between two values and, from
	// Redis before 6.2.8 and 7.0.5, inside of one. Nil: a push is an error.
	Pushes Sink

	sink Sink // of the value under way
	done bool // it has ended
	open []aggregate

	line []byte // the beginning of a line whose end has yet to come

	inBulk  bool
	kind    Kind   // of the string under way
	dst     []byte // where it is stored; nil: it is skipped
	length  int    // of the string
	arrived int    // bytes of it that have arrived, with those of the line end after it
}

// aggregate is one that has not ended.
type aggregate struct {
	kind Kind
	left int  // elements that have yet to come
	sink Sink // of the elements
}

// NewParser returns a parser between two values.
func NewParser(pushes Sink) *Parser { return &Parser{Pushes: pushes} }

// Feed takes bytes for the value that goes to sink, and the pushes before it
// and in it. It returns how many bytes it has taken: all of them, or those up
// to the end of the value, which done tells. A nil sink means that no value is
// expected: only pushes are. After an error the parser is of no more use.
func (p *Parser) Feed(b []byte, sink Sink) (n int, done bool, err error) {
	p.sink, p.done = sink, false
	for n < len(b) && !p.done && err == nil {
		var m int
		if p.inBulk {
			m, err = p.bulkBytes(b[n:])
		} else {
			m, err = p.lineBytes(b[n:])
		}
		n += m
	}
	return n, p.done, err
}

// to returns the sink of the element that comes next.
func (p *Parser) to() Sink {
	if n := len(p.open); n > 0 {
		return p.open[n-1].sink
	}
	return p.sink
}

func (p *Parser) bulkBytes(b []byte) (n int, err error) {
	if n = max(min(p.length-p.arrived, len(b)), 0); n > 0 {
		if p.dst != nil {
			copy(p.dst[p.arrived:], b[:n])
		}
		p.arrived += n
	}
	for ; n < len(b) && p.arrived < p.length+2; n++ {
		if b[n] != "\r\n"[p.arrived-p.length] {
			return n, fmt.Errorf("%w: a string of %d bytes does not end after them", ErrProtocol, p.length)
		}
		p.arrived++
	}
	if p.arrived < p.length+2 {
		return n, nil
	}
	dst := p.dst
	p.inBulk, p.dst = false, nil
	return n, p.scalar(p.kind, dst, p.length)
}

func (p *Parser) lineBytes(b []byte) (n int, err error) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		if len(p.line)+len(b) > maxLine {
			return 0, fmt.Errorf("%w: a line of over %d bytes", ErrProtocol, maxLine)
		}
		p.line = append(p.line, b...)
		return len(b), nil
	}
	line := b[:i+1]
	if len(p.line) > 0 {
		p.line = append(p.line, line...)
		line, p.line = p.line, p.line[:0]
	}
	if len(line) > maxLine || len(line) < 3 || line[len(line)-2] != '\r' {
		return i + 1, fmt.Errorf("%w: a line of %d bytes that begins with %.20q", ErrProtocol, len(line), line)
	}
	return i + 1, p.header(Kind(line[0]), line[1:len(line)-2])
}

// header takes the line that a value begins with.
func (p *Parser) header(kind Kind, text []byte) error {
	switch {
	case kind == Push && p.Pushes == nil:
		return fmt.Errorf("%w: a push that was not expected", ErrProtocol)
	case kind != Push && kind != Attribute && p.to() == nil:
		return fmt.Errorf("%w: a reply that begins with %.20q to no command", ErrProtocol, string(kind)+string(text))
	}
	switch kind {
	case Array, Map, Set, Push, Attribute:
		return p.aggregate(kind, text)
	case Bulk, BulkErr, Verbatim:
		return p.bulk(kind, text)
	case Simple, SimpleErr, Integer, Double, BigNumber:
		return p.scalar(kind, text, len(text))
	case Null:
		if len(text) == 0 {
			return p.scalar(Null, nil, 0)
		}
	case Boolean:
		if string(text) == "t" || string(text) == "f" {
			return p.scalar(Boolean, text, len(text))
		}
	}
	return fmt.Errorf("%w: a value that begins with %.20q", ErrProtocol, string(kind)+string(text))
}

func (p *Parser) aggregate(kind Kind, text []byte) error {
	n, err := count(text, maxElements)
	switch {
	case err != nil:
		return err
	case n < 0 && (kind == Push || kind == Attribute):
		return fmt.Errorf("%w: a null of kind %q", ErrProtocol, kind)
	case n < 0:
		return p.scalar(Null, nil, 0)
	case len(p.open) == maxDepth:
		return fmt.Errorf("%w: a value nested deeper than %d", ErrProtocol, maxDepth)
	}
	a := aggregate{kind, n, p.to()}
	switch kind {
	case Map:
		a.left *= 2
	case Attribute:
		a.left *= 2
		a.sink = &Status{} // which skips it
	case Push:
		a.sink = p.Pushes
		for i := range p.open {
			if p.open[i].kind == Push {
				return fmt.Errorf("%w: a push inside of a push", ErrProtocol)
			}
		}
	}
	p.open = append(p.open, a)
	if err := a.sink.Begin(kind, a.left); err != nil || a.left > 0 {
		return err
	}
	return p.end()
}

func (p *Parser) bulk(kind Kind, text []byte) error {
	n, err := count(text, maxBulk)
	switch {
	case err != nil:
		return err
	case n < 0:
		return p.scalar(Null, nil, 0)
	case n > maxLine && kind == BulkErr:
		return fmt.Errorf("%w: an error of %d bytes", ErrProtocol, n)
	}
	p.inBulk, p.kind, p.length, p.arrived = true, kind, n, 0
	p.dst = []byte{} // not nil, which is for one that is skipped
	if kind == BulkErr {
		p.kind, p.dst = SimpleErr, make([]byte, n) // no Sink needs to know where errors go, or of two kinds of them
	} else if n > 0 {
		if p.dst = p.to().Reserve(n); p.dst != nil && len(p.dst) != n {
			return fmt.Errorf("a Sink reserved %d bytes for %d", len(p.dst), n)
		}
	}
	return nil
}

// count reads the length of a string or an aggregate, -1 for null.
func count(text []byte, most int) (int, error) {
	n, err := strconv.Atoi(string(text))
	if err != nil || n < -1 || n > most {
		return 0, fmt.Errorf("%w: a length of %.20q", ErrProtocol, text)
	}
	return n, nil
}

func (p *Parser) scalar(kind Kind, s []byte, size int) error {
	if err := p.to().Scalar(kind, s, size); err != nil {
		return err
	}
	return p.elementEnds()
}

// elementEnds notes the end of an element, and of the aggregates that end with
// it.
func (p *Parser) elementEnds() error {
	if len(p.open) == 0 {
		p.done = true
		return nil
	}
	top := &p.open[len(p.open)-1]
	if top.left--; top.left > 0 {
		return nil
	}
	return p.end()
}

// end notes the end of the aggregate that was opened last. A push and an
// attribute are no elements of what is around them.
func (p *Parser) end() error {
	top := p.open[len(p.open)-1]
	p.open = p.open[:len(p.open)-1]
	if err := top.sink.End(); err != nil || top.kind == Push || top.kind == Attribute {
		return err
	}
	return p.elementEnds()
}
