package redisstream

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sse-gateway/sse-gateway/store/resp"
)

// Info is what XINFO STREAM tells of a stream.
// See https://redis.io/docs/latest/commands/xinfo-stream/.
type Info struct {
	Exists  bool
	Length  int64
	Last    ID    // last-generated-id
	Added   int64 // entries-added, -1 where the server does not count (Redis before 7.0)
	Deleted ID    // max-deleted-entry-id; 0-0 where the server does not keep it (Redis before 7.0)
	First   ID    // the first entry, 0-0 if there is none
	Newest  ID    // the last entry, 0-0 if there is none
	Size    int   // of the last entry's names and values, in bytes
	Partial bool  // the server (the embedded one) does not tell First
}

// InfoReader is a resp.Sink for the reply to XINFO STREAM. Fields that it does
// not know are skipped, whatever they hold. It takes one reply.
type InfoReader struct {
	info  Info
	err   error
	depth int
	index int    // elements at depth 1 so far: names and values in turn
	field string // the name of the value under way
	part  int    // elements so far of the entry under way: its id and its fields
	text  [64]byte

	hasLength, hasLast bool
}

// Info returns what the reply tells. A key that does not exist gives Exists
// false; a key that is no stream, the error of the server.
func (r *InfoReader) Info() (Info, error) {
	switch {
	case r.err != nil && isNoSuchKey(r.err):
		return Info{}, nil
	case r.err != nil:
		return Info{}, r.err
	}
	return r.info, nil
}

// Err returns the error reply, if the reply is one.
func (r *InfoReader) Err() error { return r.err }

func isNoSuchKey(err error) bool {
	return strings.HasPrefix(strings.ToLower(err.Error()), "err no such key")
}

// Begin is of resp.Sink.
func (r *InfoReader) Begin(kind resp.Kind, n int) error {
	switch r.depth {
	case 0:
		if n%2 != 0 {
			return fmt.Errorf("%w: XINFO STREAM is answered with %d names and values", resp.ErrProtocol, n)
		}
		*r = InfoReader{info: Info{Exists: true, Added: -1, Partial: true}}
	case 1:
		if err := r.beginValue(n); err != nil {
			return err
		}
	case 2:
		if r.isEntry() && r.part != 1 {
			return r.wrongKind(kind)
		}
		r.part++
	case 3:
		if r.isEntry() {
			return r.wrongKind(kind)
		}
	}
	r.depth++
	return nil
}

// beginValue notes that an aggregate of n elements begins where a name or a
// value was expected.
func (r *InfoReader) beginValue(n int) error {
	r.index++
	r.part = 0
	switch {
	case r.index%2 == 1:
		return fmt.Errorf("%w: XINFO STREAM has an aggregate for a name", resp.ErrProtocol)
	case r.isEntry() && n != 2, r.field == "length", r.field == "entries-added", r.field == "last-generated-id", r.field == "max-deleted-entry-id":
		return fmt.Errorf("%w: XINFO STREAM says %s is an aggregate of %d", resp.ErrProtocol, r.field, n)
	case r.field == "first-entry":
		r.info.Partial = false
	}
	return nil
}

func (r *InfoReader) isEntry() bool { return r.field == "first-entry" || r.field == "last-entry" }

func (r *InfoReader) wrongKind(kind resp.Kind) error {
	return fmt.Errorf("%w: XINFO STREAM has a value of kind %q in %s", resp.ErrProtocol, kind, r.field)
}

// Reserve is of resp.Sink.
func (r *InfoReader) Reserve(n int) []byte {
	if n > len(r.text) || r.depth == 0 || r.depth > 2 {
		return nil
	}
	return r.text[:n]
}

// Scalar is of resp.Sink.
func (r *InfoReader) Scalar(kind resp.Kind, s []byte, size int) error {
	switch {
	case r.depth == 0 && kind == resp.SimpleErr:
		r.err = resp.Error(s)
		return nil
	case r.depth == 0:
		return fmt.Errorf("%w: XINFO STREAM is answered with a value of kind %q", resp.ErrProtocol, kind)
	case r.depth == 1:
		if r.index++; r.index%2 == 0 {
			return r.value(kind, s, size)
		}
		r.field = string(s) // "" for one that is longer than any that is known
	case r.depth == 2 && r.isEntry():
		if r.part++; r.part != 1 {
			return r.wrongKind(kind)
		}
		return r.entryID(s, size)
	case r.depth == 3 && r.field == "last-entry":
		r.info.Size += size
	}
	return nil
}

// End is of resp.Sink.
func (r *InfoReader) End() error {
	if r.depth--; r.depth == 0 && (!r.hasLength || !r.hasLast) {
		return fmt.Errorf("%w: XINFO STREAM does not tell length and last-generated-id", resp.ErrProtocol)
	}
	return nil
}

func (r *InfoReader) value(kind resp.Kind, s []byte, size int) (err error) {
	switch r.field {
	case "length":
		r.hasLength = true
		r.info.Length, err = integer(r.field, s)
	case "entries-added":
		r.info.Added, err = integer(r.field, s)
	case "last-generated-id":
		r.hasLast = true
		r.info.Last, err = r.id(s, size)
	case "max-deleted-entry-id":
		r.info.Deleted, err = r.id(s, size)
	case "first-entry", "last-entry":
		if kind != resp.Null {
			return r.wrongKind(kind)
		}
		if r.field == "first-entry" {
			r.info.Partial = false
		}
	}
	return err
}

func (r *InfoReader) entryID(s []byte, size int) (err error) {
	switch r.field {
	case "first-entry":
		r.info.First, err = r.id(s, size)
	case "last-entry":
		r.info.Newest, err = r.id(s, size)
	}
	return err
}

func (r *InfoReader) id(s []byte, size int) (ID, error) {
	if size == 0 && s != nil { // the embedded server, for a stream that has had no entry
		return ID{}, nil
	}
	id, err := parseID(s)
	if err != nil {
		return ID{}, fmt.Errorf("%w: XINFO STREAM says %s is %.60q: %w", resp.ErrProtocol, r.field, s, err)
	}
	return id, nil
}

func integer(field string, s []byte) (int64, error) {
	n, err := strconv.ParseInt(string(s), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: XINFO STREAM says %s is %.60q", resp.ErrProtocol, field, s)
	}
	return n, nil
}

// ErrAborted is returned for a transaction that the server did not carry out.
var ErrAborted = errors.New("the transaction was not carried out")
