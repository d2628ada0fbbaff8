package store

import (
	"errors"
	"fmt"
	"strconv"
)

// Replies with entries are taken as the bytes that Redis sent and read here,
// because go-redis makes a map of an entry's fields, which loses their order
// and repeated names, and copies every one of them.

// respError is an error reply of Redis, such as "WRONGTYPE Operation …".
type respError string

func (e respError) Error() string { return string(e) }

// RedisError makes go-redis, too, tell these from errors of the network.
func (e respError) RedisError() {}

var errReply = errors.New("reply of Redis is not of the expected form")

// respReader reads RESP2 replies from bytes, as Redis sent them or as a keeper
// left them. It is positioned before a reply.
type respReader struct{ b []byte }

// line returns the kind of the next reply and the rest of its first line.
func (r *respReader) line() (kind byte, rest []byte, err error) {
	for i := 1; i+1 < len(r.b); i++ {
		if r.b[i] == '\r' && r.b[i+1] == '\n' {
			kind, rest = r.b[0], r.b[1:i]
			r.b = r.b[i+2:]
			return kind, rest, nil
		}
	}
	return 0, nil, errReply
}

// array reads the head of an array and returns its length, -1 for nil.
func (r *respReader) array() (int, error) {
	kind, rest, err := r.line()
	if err != nil {
		return 0, err
	}
	switch kind {
	case '*':
		n, err := strconv.Atoi(string(rest))
		if err != nil || n < -1 || n > len(r.b) {
			return 0, errReply
		}
		return n, nil
	case '$':
		if string(rest) == "-1" {
			return -1, nil
		}
	case '-':
		return 0, respError(rest)
	}
	return 0, errReply
}

// scalar reads a string, status or integer; the bytes are part of the reply.
// A nil reply is returned as nil.
func (r *respReader) scalar() ([]byte, error) {
	kind, rest, err := r.line()
	if err != nil {
		return nil, err
	}
	switch kind {
	case '+', ':':
		return rest, nil
	case '-':
		return nil, respError(rest)
	case '$':
		n, err := strconv.Atoi(string(rest))
		if err != nil || n < -1 || n > len(r.b)-2 {
			return nil, errReply
		}
		if n < 0 {
			return nil, nil
		}
		s := r.b[:n:n]
		r.b = r.b[n+2:]
		return s, nil
	}
	return nil, errReply
}

// maxDepth is how deep a reply may be nested: deeper than any of Redis, and
// shallow enough for the stack.
const maxDepth = 16

// skip passes over one reply of any kind.
func (r *respReader) skip() error { return r.skipAt(0) }

func (r *respReader) skipAt(depth int) error {
	if depth > maxDepth {
		return errReply
	}
	if len(r.b) > 0 && r.b[0] == '*' {
		n, err := r.array()
		for ; err == nil && n > 0; n-- {
			err = r.skipAt(depth + 1)
		}
		return err
	}
	_, err := r.scalar()
	var re respError
	if errors.As(err, &re) {
		return nil
	}
	return err
}

// rawEntry is a stream entry as Redis sent it; fields alternate names and
// values.
type rawEntry struct {
	id       ID
	fields   [][]byte
	size     int  // bytes of the fields, also of those that were not kept
	tooLarge bool // they were not, and never will be
}

// entry reads one stream entry. A nil reply, as XINFO STREAM has it for an
// empty stream, gives ok false; so does an entry that was left for a later read,
// and that one has an id.
func (r *respReader) entry(fields [][]byte) (e rawEntry, ok bool, err error) {
	n, err := r.array()
	if err != nil || n == -1 {
		return rawEntry{}, false, err
	}
	if n != 2 {
		return rawEntry{}, false, errReply
	}
	id, err := r.scalar()
	if err != nil {
		return rawEntry{}, false, err
	}
	if e.id, err = parseID(id); err != nil {
		return rawEntry{}, false, fmt.Errorf("%w: %q", err, id)
	}
	if left, is := r.leftOut(); is {
		e.size, e.tooLarge = left.size, left.kind == leftTooLarge
		return e, left.kind != leftForLater, nil
	}
	if n, err = r.array(); err != nil {
		return rawEntry{}, false, err
	}
	e.fields = fields[:0]
	for ; n > 0; n-- {
		f, err := r.scalar()
		if err != nil {
			return rawEntry{}, false, err
		}
		e.fields = append(e.fields, f)
		e.size += len(f)
	}
	return e, true, nil
}

// reading is what there was in a reply with entries.
type reading struct {
	n     int  // entries that were passed on
	cut   bool // others follow, which were left for a later read
	seen  int  // entries, all of them
	bytes int  // of the fields of all of them
}

// entries reads an array of stream entries, as XRANGE returns, and calls f
// with each, until one that was left for a later read. The fields are only valid
// during the call.
func (r *respReader) entries(f func(rawEntry)) (got reading, err error) {
	n, err := r.array()
	if err != nil {
		return got, err
	}
	var buf [16][]byte
	fields := buf[:]
	for range n {
		e, ok, err := r.entry(fields)
		switch {
		case err != nil:
			return got, err
		case !ok && e.id.IsZero():
			return got, errReply // Redis never has nil among entries
		}
		got.seen++
		got.bytes += e.size
		if got.cut = got.cut || !ok; got.cut {
			continue
		}
		if e.fields != nil {
			fields = e.fields
		}
		got.n++
		f(e)
	}
	return got, nil
}

// streamInfo is what XINFO STREAM tells of a stream.
type streamInfo struct {
	exists  bool
	length  int64
	last    ID    // last-generated-id
	added   int64 // entries-added, -1 where Redis is older than 7.0
	deleted ID    // max-deleted-entry-id; 0-0 where Redis is older than 7.0
	first   ID    // id of the first entry, 0-0 if there is none
	newest  ID    // id of the last entry, 0-0 if there is none
	size    int   // bytes of the last entry's fields
	partial bool  // the server (the embedded one) does not tell first
}

// streamInfo reads the reply of XINFO STREAM. A key that does not exist gives
// exists false; one that is no stream, the error of Redis.
func (r *respReader) streamInfo() (streamInfo, error) {
	info := streamInfo{added: -1, partial: true}
	n, err := r.array()
	var re respError
	if errors.As(err, &re) {
		if isNoSuchKey(re) {
			return streamInfo{}, nil
		}
		return streamInfo{}, err
	}
	if err != nil {
		return info, err
	}
	info.exists = true
	for ; n > 1; n -= 2 {
		name, err := r.scalar()
		if err != nil {
			return info, err
		}
		if err := r.infoField(&info, string(name)); err != nil {
			return info, err
		}
	}
	return info, nil
}

func (r *respReader) infoField(info *streamInfo, name string) (err error) {
	switch name {
	case "length":
		info.length, err = r.integer()
	case "entries-added":
		info.added, err = r.integer()
	case "last-generated-id":
		info.last, err = r.id()
	case "max-deleted-entry-id":
		info.deleted, err = r.id()
	case "first-entry", "last-entry":
		e, _, err := r.entry(nil)
		if name == "first-entry" {
			info.first = e.id
			info.partial = false
		} else {
			info.newest = e.id
			info.size = e.size
		}
		return err
	default:
		err = r.skip()
	}
	return err
}

func (r *respReader) integer() (int64, error) {
	s, err := r.scalar()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(s), 10, 64)
	if err != nil {
		return 0, errReply
	}
	return n, nil
}

func (r *respReader) id() (ID, error) {
	s, err := r.scalar()
	if err != nil {
		return ID{}, err
	}
	if len(s) == 0 { // the embedded server, for a stream that has had no entry
		return ID{}, nil
	}
	return parseID(s)
}
