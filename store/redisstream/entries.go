package redisstream

import (
	"fmt"

	"github.com/sse-gateway/sse-gateway/store/resp"
)

// Entry is a stream entry as the server sent it.
type Entry struct {
	ID       ID
	Fields   [][]byte // names and values in turn, in the order of the stream; valid until the next entry
	Size     int      // of the names and values, in bytes, also when they were skipped
	TooLarge bool     // the fields are over the limit, and were skipped
}

// EntryReader reads the replies to XRANGE and XREVRANGE, one after the other. It
// hands each entry on as soon as it has arrived.
//
// The server can be told how many entries to return, not how many bytes. So once
// the fields of an entry do not fit, neither it nor any that follows is handed on:
// Cut tells, and they are read again later. At least one entry of a reply fits.
type EntryReader struct {
	// Anchor is an entry of which it is enough to know that it is there: its
	// fields are skipped, and it is not handed on.
	Anchor ID
	// MaxEntry is the most bytes that the names and values of an entry may have; a
	// larger one is handed on without them. 0: no fields are wanted.
	MaxEntry int
	Room     *int // what several replies may keep together, in bytes; may be nil
	// Each is called with each entry in the order of the reply.
	Each func(Entry)

	// Of the last reply.
	Found bool // the anchor was in it
	Seen  int  // its entries, the anchor included
	Bytes int  // names and values of all of them
	Cut   bool // entries were left for a later read

	kept   int      // of all entries so far, in bytes as they are encoded
	arena  []byte   // the names and values of one entry
	fields [][]byte // of it
}

const (
	// maxArena is the largest buffer for fields that is kept for the next
	// reply, in bytes.
	maxArena = 256 << 10
	// maxFields is how many slices of it are kept at most.
	maxFields = maxArena / 32
)

// Read reads a reply. An error reply is the error.
func (r *EntryReader) Read(rd *resp.Reader) error {
	r.Found, r.Seen, r.Bytes, r.Cut, r.kept = false, 0, 0, false, 0
	if cap(r.arena) > maxArena {
		r.arena = nil
	}
	if cap(r.fields) > maxFields {
		r.fields = nil
	}
	h, err := rd.Reply()
	if err != nil {
		return err
	}
	if !h.IsAggregate() {
		return wrong(h, "stream entries were")
	}
	for range h.Len {
		if err := r.readEntry(rd); err != nil {
			return err
		}
	}
	return nil
}

// wrong is the error about a value that is not what was expected.
func wrong(h resp.Header, expected string) error {
	return fmt.Errorf("%w: a value of kind %q and length %d where %s expected", resp.ErrProtocol, h.Kind, h.Len, expected)
}

// readEntryID reads what an entry begins with.
func readEntryID(rd *resp.Reader, h resp.Header) (ID, error) {
	if !h.IsAggregate() || h.Len != 2 {
		return ID{}, wrong(h, "a stream entry was")
	}
	h, err := rd.Next()
	if err != nil {
		return ID{}, err
	}
	return readID(rd, h)
}

func readID(rd *resp.Reader, h resp.Header) (ID, error) {
	text, err := rd.Text(h)
	if err != nil {
		return ID{}, err
	}
	id, err := parseID(text)
	if err != nil {
		err = fmt.Errorf("%w: the id %.60q: %w", resp.ErrProtocol, text, err)
	}
	return id, err
}

// fieldCount reads what the fields of an entry begin with.
func fieldCount(rd *resp.Reader) (int, error) {
	h, err := rd.Next()
	if err == nil && (!h.IsAggregate() || h.Len%2 != 0) {
		err = wrong(h, "names and values were")
	}
	return h.Len, err
}

func (r *EntryReader) readEntry(rd *resp.Reader) (err error) {
	h, err := rd.Next()
	if err != nil {
		return err
	}
	e := Entry{}
	if e.ID, err = readEntryID(rd, h); err != nil {
		return err
	}
	n, err := fieldCount(rd)
	if err != nil {
		return err
	}
	anchor := !r.Anchor.IsZero() && e.ID == r.Anchor
	keep := r.MaxEntry > 0 && !r.Cut && !anchor
	r.arena, r.fields = r.arena[:0], r.fields[:0]
	wire := lengthLine(n)
	for range n {
		h, err := rd.Next()
		if err != nil {
			return err
		}
		if !h.IsString() {
			return wrong(h, "a name or value was")
		}
		e.Size += h.Len
		wire += lengthLine(h.Len) + h.Len + len("\r\n")
		if keep = keep && r.fits(e.Size, wire); !keep {
			err = rd.Skip(h)
		} else {
			at := len(r.arena)
			r.arena, err = rd.Append(r.arena, h)
			r.fields = append(r.fields, r.arena[at:len(r.arena):len(r.arena)])
		}
		if err != nil {
			return err
		}
	}
	r.Seen++
	r.Bytes += e.Size
	switch {
	case anchor:
		r.Found = true
		return nil
	case r.MaxEntry == 0:
	case r.Cut:
		return nil
	case r.tooLarge(e.Size, wire):
		e.TooLarge = true
	case !r.fits(e.Size, wire):
		r.Cut = true
		return nil
	default:
		e.Fields = r.fields
		r.kept += wire
		if r.Room != nil {
			*r.Room -= wire
		}
	}
	if r.Each != nil {
		r.Each(e)
	}
	return nil
}

// fits reports whether fields of so many bytes, and as they are encoded, may be
// kept.
func (r *EntryReader) fits(size, wire int) bool {
	switch {
	case r.tooLarge(size, wire), r.Room != nil && *r.Room <= 0:
		return false
	case r.kept == 0:
		return true
	}
	return r.kept+wire <= replyBytes && (r.Room == nil || wire <= *r.Room)
}

// tooLarge reports whether the fields of an entry never fit. Many empty fields are
// small in names and values, and not in the reply.
func (r *EntryReader) tooLarge(size, wire int) bool {
	return size > r.MaxEntry || wire > replyBytes+2*r.MaxEntry
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
