package redisstream

import (
	"fmt"
	"slices"

	"github.com/sse-gateway/sse-gateway/store/resp"
)

// Entry is a stream entry as the server sent it.
type Entry struct {
	ID       ID
	Fields   [][]byte // names and values in turn, in the order of the stream; valid until the next entry
	Size     int      // of the names and values, in bytes, also when they were skipped
	TooLarge bool     // the fields are over the limit, and were skipped
}

// Limits bounds what an EntryReader holds of a reply. The server can be told
// how many entries to return, not how many bytes.
type Limits struct {
	EntryBytes int // names and values of one entry; a larger one is passed on without them
	ReplyBytes int // fields of all entries of the reply; at least one entry is kept
	// WireBytes is how large the encoded fields of one entry may be: many empty
	// fields are small in names and values, and not in the reply.
	WireBytes int
	Room      *int // what several replies may keep together, in bytes; may be nil
}

// EntryReader is a resp.Sink for the replies to XRANGE and XREVRANGE. It hands
// each entry on as soon as it has arrived. It takes one reply.
//
// Once an entry does not fit into the limits, neither it nor any that follows
// is handed on: Cut tells, and they are read again later.
type EntryReader struct {
	// Anchor is an entry of which it is enough to know that it is there: its
	// fields are skipped, and it is not handed on.
	Anchor ID
	// Limits bounds the fields that are kept. Nil: no fields are wanted.
	Limits *Limits
	// Each is called with each entry in the order of the reply.
	Each func(Entry)

	Found bool // the anchor was in the reply
	Seen  int  // entries in the reply, the anchor included
	Bytes int  // names and values of all of them
	Cut   bool // entries were left for a later read

	err   error
	depth int
	part  int // of the entry under way that comes next: 0 is its id, 1 its fields, 2 is its end
	id    [maxIDLen]byte
	entry Entry
	arena []byte // the names and values under way
	skip  bool   // the fields under way are skipped
	wire  int    // size of the fields under way as they are encoded, in bytes
	kept  int    // of all entries so far, in bytes as they are encoded
}

// Err returns the error reply, if the reply is one.
func (r *EntryReader) Err() error { return r.err }

// Reset prepares for another reply with the same limits. Buffers are reused.
func (r *EntryReader) Reset(anchor ID) {
	*r = EntryReader{Anchor: anchor, Limits: r.Limits, Each: r.Each, arena: r.arena[:0], entry: Entry{Fields: r.entry.Fields[:0]}}
	if cap(r.arena) > maxArena {
		r.arena = nil
	}
	if cap(r.entry.Fields) > maxFields {
		r.entry.Fields = nil
	}
}

const (
	// maxArena is the largest buffer for fields that is kept for the next
	// reply, in bytes.
	maxArena = 256 << 10
	// maxFields is how many slices of it are kept at most.
	maxFields = maxArena / 32
)

// Begin is of resp.Sink.
func (r *EntryReader) Begin(kind resp.Kind, n int) error {
	switch {
	case r.depth == 0:
		r.err = nil
	case r.depth == 1 && n != 2, r.depth == 2 && r.part != 1, r.depth > 2:
		return fmt.Errorf("%w: an aggregate of %d elements where a stream entry was expected", resp.ErrProtocol, n)
	case r.depth == 1:
		r.part = 0
	case r.depth == 2 && n%2 != 0:
		return fmt.Errorf("%w: a stream entry of %d names and values", resp.ErrProtocol, n)
	case r.depth == 2:
		r.part++
		r.beginFields(n)
	}
	r.depth++
	return nil
}

func (r *EntryReader) beginFields(n int) {
	r.arena = r.arena[:0]
	r.entry.Fields = r.entry.Fields[:0]
	r.entry.Size, r.entry.TooLarge, r.wire = 0, false, lengthLine(n)
	r.skip = r.Limits == nil || r.Cut || r.isAnchor()
}

func (r *EntryReader) isAnchor() bool { return !r.Anchor.IsZero() && r.entry.ID == r.Anchor }

// Reserve is of resp.Sink.
func (r *EntryReader) Reserve(n int) []byte {
	switch {
	case r.depth == 2 && n <= len(r.id):
		return r.id[:n]
	case r.depth != 3 || !r.admit(n):
		return nil
	}
	at := len(r.arena)
	r.arena = slices.Grow(r.arena, n)[:at+n]
	return r.arena[at : at+n : at+n]
}

// admit reports whether a name or value of n bytes is kept.
func (r *EntryReader) admit(n int) bool {
	if r.wire += lengthLine(n) + n + len("\r\n"); !r.fits(r.entry.Size + n) {
		r.skip = true
	}
	return !r.skip
}

// lengthLine is the size of the line that a string or an aggregate begins with,
// in bytes.
func lengthLine(n int) int {
	digits := 1
	for ; n >= 10; n /= 10 {
		digits++
	}
	return len("$") + digits + len("\r\n")
}

// fits reports whether the fields under way, of so many bytes, may be kept.
func (r *EntryReader) fits(size int) bool {
	l := r.Limits
	switch {
	case l == nil, r.tooLarge(size), l.Room != nil && *l.Room <= 0:
		return false
	case r.kept == 0:
		return true
	}
	return r.kept+r.wire <= l.ReplyBytes && (l.Room == nil || r.wire <= *l.Room)
}

func (r *EntryReader) tooLarge(size int) bool {
	return r.Limits != nil && (size > r.Limits.EntryBytes || r.wire > r.Limits.WireBytes)
}

// Scalar is of resp.Sink.
func (r *EntryReader) Scalar(kind resp.Kind, s []byte, size int) error {
	switch {
	case r.depth == 0 && kind == resp.SimpleErr:
		r.err = resp.Error(s)
		return nil
	case r.depth == 2 && r.part == 0:
		return r.entryID(s)
	case r.depth == 3 && (kind == resp.Bulk || kind == resp.Simple || kind == resp.Integer):
		r.field(kind, s, size)
		return nil
	}
	return fmt.Errorf("%w: a value of kind %q where a stream entry was expected", resp.ErrProtocol, kind)
}

// field takes a name or value.
func (r *EntryReader) field(kind resp.Kind, s []byte, size int) {
	switch {
	case kind != resp.Bulk && size > 0: // the parser's, which Reserve was not asked for
		if dst := r.Reserve(size); dst != nil {
			copy(dst, s)
			s = dst
		}
	case size == 0:
		r.admit(0)
	}
	r.entry.Size += size
	if !r.skip {
		r.entry.Fields = append(r.entry.Fields, s)
	}
}

func (r *EntryReader) entryID(s []byte) error {
	id, err := parseID(s)
	if err != nil {
		return fmt.Errorf("%w: an entry with the id %.60q: %w", resp.ErrProtocol, s, err)
	}
	r.entry.ID = id
	r.part++
	return nil
}

// End is of resp.Sink.
func (r *EntryReader) End() error {
	r.depth--
	if r.depth == 1 {
		if r.part != 2 {
			return fmt.Errorf("%w: a stream entry without fields", resp.ErrProtocol)
		}
		r.endEntry()
	}
	return nil
}

// endEntry hands the entry on that has arrived.
func (r *EntryReader) endEntry() {
	e := r.entry
	r.Seen++
	r.Bytes += e.Size
	switch {
	case r.isAnchor():
		r.Found = true
		return
	case r.Limits == nil:
		e.Fields = nil
	case r.Cut:
		return
	case r.tooLarge(e.Size):
		e.Fields, e.TooLarge = nil, true
	case r.skip || !r.fits(e.Size):
		r.Cut = true
		return
	default:
		r.kept += r.wire
		if r.Limits.Room != nil {
			*r.Limits.Room -= r.wire
		}
	}
	if r.Each != nil {
		r.Each(e)
	}
}
