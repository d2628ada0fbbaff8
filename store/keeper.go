package store

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Redis can be told how many entries to return, not how many bytes, and nothing
// tells in advance how large those are that nobody has read yet. How many to ask
// for is therefore a guess, by what was seen before (see adapt). A wrong one must
// not cost memory: a reply is taken by a keeper, as it comes in from the network.
//
// Invariant: of the entries of one reply no more is held than replyBytes, or one
// entry of entryLimit if that is more; and of a pipeline of the tail no more than
// roundBytes and one such entry. Besides, each entry that is left out costs a
// line with its id, and a reply has at most pageEntries+1 of them.

const (
	// replyBytes is about how much of one reply is kept: twice what was asked
	// for, so that a guess that is a little wrong loses nothing.
	replyBytes = 2 * pageBytes
	// roundBytes is how much is kept of the replies in one pipeline of the tail:
	// what a full one is expected to have, so that nothing is read twice.
	roundBytes = readBatch * tailBytes
)

// entryLimit is how large the reply with the fields of one entry may be, in
// bytes: that of any of maxEvent bytes, unless it is made of mostly empty fields.
func entryLimit(maxEvent int) int { return replyBytes + 2*maxEvent }

// What a keeper puts in the place of the fields of an entry that it leaves out:
// the kind, which is none of RESP2, and how many bytes they have.
const (
	leftUnasked  = '_' // nobody wants to know them
	leftTooLarge = '^' // too large ever to be kept
	leftForLater = '~' // no room in this reply
)

type left struct {
	kind byte
	size int
}

// leftOut reads what stands in place of an entry's fields, if something does.
func (r *respReader) leftOut() (l left, is bool) {
	if len(r.b) == 0 || strings.IndexByte("_^~", r.b[0]) < 0 {
		return left{}, false
	}
	rest := *r
	kind, text, err := rest.line()
	if err != nil {
		return left{}, false
	}
	size, err := strconv.Atoi(string(text))
	if err != nil || size < 0 {
		return left{}, false
	}
	*r = rest
	return left{kind, size}, true
}

// keeper takes one reply of Redis, in pieces of any size, and keeps its bytes
// without the fields of entries that are not wanted or do not fit. It knows the
// replies to XRANGE, XREVRANGE and XINFO STREAM, and that of a transaction of
// XINFO STREAM and XRANGE; others are kept as they are. It belongs to one reader.
type keeper struct {
	// Fixed at construction.
	fields   bool          // the fields of entries are wanted, except in XINFO STREAM
	exec     bool          // the reply is that to EXEC
	anchor   string        // the entry whose fields are not wanted: its id as in the reply
	maxEvent int           // bytes; see Config.MaxEventBytes
	room     *int          // what the pipeline may still keep, in bytes; nil: as much as this reply may
	report   func(*keeper) // called when the reply has come; may be nil

	b        []byte // what is kept
	complete bool   // the reply has come
	came     int    // bytes that came in
	kept     int    // bytes of fields in b

	line  []byte // a line of which the end has yet to come
	bulk  int    // bytes of a string, with its line end, that have yet to come
	depth []int  // elements that have yet to come, the one under way included, of each open array

	// The fields under way.
	at       int // where they begin in b
	size     int // bytes of names and values
	wire     int // bytes of the reply
	dropping bool
}

// idsOnly is a keeper for replies of which no fields are wanted.
func idsOnly() *keeper { return &keeper{} }

// keeper is one for entries that are to be encoded, except the one at anchor.
// room may be nil.
func (s *Store) keeper(anchor ID, room *int) *keeper {
	k := &keeper{fields: true, maxEvent: s.cfg.MaxEventBytes, room: room, report: s.cfg.onReply}
	if !anchor.IsZero() {
		id := anchor.String()
		k.anchor = "$" + strconv.Itoa(len(id)) + "\r\n" + id + "\r\n"
	}
	return k
}

// reset prepares for the reply to the same command, sent again.
func (k *keeper) reset() {
	*k = keeper{fields: k.fields, exec: k.exec, anchor: k.anchor, maxEvent: k.maxEvent, room: k.room, report: k.report}
}

// Write takes a piece of the reply. It never fails.
func (k *keeper) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		k.complete = false // go-redis knows where a reply ends
		rest = rest[k.feed(rest):]
	}
	return len(p), nil
}

// feed takes a piece of the reply, and returns how much of it that is: what
// follows the reply is left.
func (k *keeper) feed(p []byte) (n int) {
	all := len(p)
	for len(p) > 0 && !k.complete {
		if k.bulk > 0 {
			m := min(k.bulk, len(p))
			k.came += m
			k.take(p[:m])
			p = p[m:]
			k.bulkCame(m)
			continue
		}
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			k.came += len(p)
			k.line = append(k.line, p...)
			return all
		}
		k.came += i + 1
		k.line = append(k.line, p[:i+1]...)
		p = p[i+1:]
		k.header()
		k.line = k.line[:0]
	}
	return all - len(p)
}

// scratch is where strings go that are not kept.
var scratch = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// ReadFrom takes a piece of the reply from r, without another copy of it if it
// is a string that is kept.
func (k *keeper) ReadFrom(r io.Reader) (n int64, err error) {
	if k.bulk > 0 && !k.dropping {
		at := len(k.b)
		k.b = slices.Grow(k.b, k.bulk)[:at+k.bulk]
		m, err := io.ReadFull(r, k.b[at:])
		k.b = k.b[:at+m]
		k.came += m
		k.wire += m
		k.bulkCame(m)
		n = int64(m)
		if l, ok := r.(*io.LimitedReader); err != nil || ok && l.N == 0 {
			return n, ended(err)
		}
	}
	buf := scratch.Get().(*[16 << 10]byte)
	defer scratch.Put(buf)
	for {
		m, err := r.Read(buf[:])
		_, _ = k.Write(buf[:m])
		n += int64(m)
		if err != nil {
			return n, ended(err)
		}
	}
}

// ended is an error of a reader as ReadFrom returns it.
func ended(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// take keeps bytes, or not.
func (k *keeper) take(p []byte) {
	k.wire += len(p)
	if !k.dropping {
		k.b = append(k.b, p...)
	}
}

func (k *keeper) bulkCame(n int) {
	if k.bulk -= n; k.bulk == 0 {
		k.done()
	}
}

// header takes the first line of a reply, which is in k.line.
func (k *keeper) header() {
	n := -1
	if len(k.line) > 3 && (k.line[0] == '$' || k.line[0] == '*') {
		if v, err := strconv.Atoi(string(k.line[1 : len(k.line)-2])); err == nil {
			n = v
		}
	}
	switch {
	case n < 0: // a number, a status, an error, nil
		k.take(k.line)
		k.done()
	case k.line[0] == '*':
		if len(k.depth) == k.fieldsDepth() {
			k.beginFields()
		}
		k.take(k.line)
		if k.depth = append(k.depth, n); n == 0 {
			k.pop()
			k.done()
		}
	default:
		if k.inFields() {
			k.size += n
			if k.wire += len(k.line) + n + 2; !k.dropping && !k.fits() {
				k.drop()
			}
			k.wire -= len(k.line) + n + 2 // it comes
		}
		k.take(k.line)
		k.bulk = n + 2
	}
}

// fieldsDepth is how many arrays are around the one with an entry's fields.
func (k *keeper) fieldsDepth() int {
	if k.exec {
		return 3
	}
	return 2
}

func (k *keeper) inFields() bool { return len(k.depth) > k.fieldsDepth() }

func (k *keeper) beginFields() {
	k.at, k.size, k.wire = len(k.b), 0, 0
	k.dropping = k.unasked()
}

// unasked reports that nobody wants to know the fields that begin.
func (k *keeper) unasked() bool {
	return !k.fields || k.exec && k.depth[0] == 2 || // XINFO STREAM is the first of the two
		k.anchor != "" && bytes.HasSuffix(k.b[:k.at], []byte(k.anchor))
}

// fits reports whether the fields under way may be kept.
func (k *keeper) fits() bool {
	switch {
	case k.tooLarge(), k.room != nil && *k.room <= 0:
		return false
	case k.kept == 0:
		return true
	}
	return k.kept+k.wire <= replyBytes && (k.room == nil || k.wire <= *k.room)
}

func (k *keeper) tooLarge() bool { return k.size > k.maxEvent || k.wire > entryLimit(k.maxEvent) }

// drop lets go of the fields under way.
func (k *keeper) drop() {
	k.dropping = true
	k.b = k.b[:k.at]
}

// done notes the end of a reply inside the reply, and of those that end with it.
func (k *keeper) done() {
	for n := len(k.depth); n > 0; n = len(k.depth) {
		if k.depth[n-1]--; k.depth[n-1] > 0 {
			return
		}
		k.pop()
	}
	k.complete = true
	if k.report != nil {
		k.report(k)
	}
}

// pop notes the end of an array.
func (k *keeper) pop() {
	k.depth = k.depth[:len(k.depth)-1]
	if len(k.depth) != k.fieldsDepth() {
		return
	}
	if !k.dropping && !k.fits() { // many empty ones
		k.drop()
	}
	if !k.dropping {
		k.kept += k.wire
		if k.room != nil {
			*k.room -= k.wire
		}
		return
	}
	k.dropping = false
	kind := byte(leftForLater)
	switch {
	case k.unasked():
		kind = leftUnasked
	case k.tooLarge():
		kind = leftTooLarge
	}
	k.b = append(k.b, kind)
	k.b = strconv.AppendInt(k.b, int64(k.size), 10)
	k.b = append(k.b, '\r', '\n')
}
