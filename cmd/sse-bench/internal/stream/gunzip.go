package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

// Gunzip takes the content coding gzip off a body that is made of pieces. A piece ends
// with a flush and refers to nothing before it, as all do that this project's gateway
// writes. So a stream needs no window of its own, and a piece that thousands of streams
// are sent is decompressed once. The body of another server is an error.
//
// The zero value is ready.
type Gunzip struct {
	part      []byte // the beginning of a piece whose end has not arrived
	begun     bool   // the header has been read
	crc, size uint32 // of the content so far
}

// The parts of a gzip stream (RFC 1952): the header, of which a gateway's has no optional
// fields, the mark with which a piece ends, which is an empty stored block, and the last
// block, before the trailer.
const (
	gzipHeader  = 10
	gzipTrailer = 8
	pieceEnd    = "\x00\x00\xff\xff"
	lastBlock   = "\x03\x00"
)

var (
	errGzip      = errors.New("gzip: not a stream of pieces that stand alone")
	errNoTrailer = errors.New("gzip: the body ended without its trailer")
	errTrailer   = errors.New("gzip: the trailer is wrong")
)

// Feed returns the content of the pieces that are complete with the next bytes of the
// body. It is valid until the next call with the same memory.
func (g *Gunzip) Feed(p []byte, shared *Pieces) (content []byte, err error) {
	if len(g.part) > 0 {
		p = append(g.part, p...)
	}
	if !g.begun && len(p) >= gzipHeader {
		if !bytes.HasPrefix(p, []byte{0x1f, 0x8b, 8, 0}) {
			return nil, errGzip
		}
		g.begun, p = true, p[gzipHeader:]
	}
	if g.begun && bytes.HasSuffix(p, []byte(pieceEnd)) {
		e, err := shared.piece(p)
		switch {
		case err == nil:
			g.part = nil
			g.add(e)
			return e.content, nil
		case !errors.Is(err, io.ErrUnexpectedEOF): // the mark was data
			return nil, fmt.Errorf("%w: %w", errGzip, err)
		}
	}
	g.part = bytes.Clone(p)
	return nil, nil
}

// End returns the content after the last piece, once the body has ended by its own
// framing. The trailer must be there, and right.
func (g *Gunzip) End(shared *Pieces) (content []byte, err error) {
	n := len(g.part) - gzipTrailer - len(lastBlock)
	if n < 0 || string(g.part[n:n+len(lastBlock)]) != lastBlock {
		return nil, errNoTrailer
	}
	e, err := shared.piece(g.part[:n])
	if err != nil {
		return nil, errNoTrailer
	}
	g.add(e)
	trailer := g.part[n+len(lastBlock):]
	if binary.LittleEndian.Uint32(trailer) != g.crc || binary.LittleEndian.Uint32(trailer[4:]) != g.size {
		return nil, errTrailer
	}
	return e.content, nil
}

func (g *Gunzip) add(e *piece) {
	g.crc, g.size = crc32.Update(g.crc, crc32.IEEETable, e.content), g.size+uint32(len(e.content))
}

// Pieces is what the streams of one goroutine share: a decompressor, and the pieces that
// came last. The zero value is ready.
type Pieces struct {
	in      bytes.Reader
	blocks  []byte // what in reads
	inflate io.ReadCloser
	known   map[string]*piece
	recent  [64]string // keys of known
	next    int        // in recent
}

type piece struct{ content []byte }

// piece returns the content of blocks. io.ErrUnexpectedEOF means that the last of them is
// not complete.
func (s *Pieces) piece(blocks []byte) (*piece, error) {
	if e := s.known[string(blocks)]; e != nil {
		return e, nil
	}
	s.blocks = append(append(s.blocks[:0], blocks...), lastBlock...)
	s.in.Reset(s.blocks)
	if s.inflate == nil {
		s.inflate, s.known = flate.NewReader(&s.in), map[string]*piece{}
	} else if err := s.inflate.(flate.Resetter).Reset(&s.in, nil); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(s.inflate)
	if err == nil && s.in.Len() > 0 {
		err = errors.New("there is a last block among them")
	}
	if err != nil {
		return nil, err
	}
	delete(s.known, s.recent[s.next])
	s.recent[s.next] = string(blocks)
	e := &piece{content}
	s.known[s.recent[s.next]] = e
	s.next = (s.next + 1) % len(s.recent)
	return e, nil
}
