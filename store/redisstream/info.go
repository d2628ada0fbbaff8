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
	if r.err != nil && strings.HasPrefix(strings.ToLower(r.err.Error()), "err no such key") {
		return Info{}, nil
	}
	return r.info, r.err
}

// Err returns the error reply, if the reply is one.
func (r *InfoReader) Err() error { return r.err }

func (r *InfoReader) isEntry() bool { return r.field == "first-entry" || r.field == "last-entry" }

// number returns where the value under way is stored, if it is a number.
func (r *InfoReader) number() *int64 {
	switch r.field {
	case "length":
		r.hasLength = true
		return &r.info.Length
	case "entries-added":
		return &r.info.Added
	}
	return nil
}

// id returns where the value under way is stored, if it is an id or an entry.
func (r *InfoReader) id() *ID {
	switch r.field {
	case "last-generated-id":
		r.hasLast = true
		return &r.info.Last
	case "max-deleted-entry-id":
		return &r.info.Deleted
	case "first-entry":
		r.info.Partial = false
		return &r.info.First
	case "last-entry":
		return &r.info.Newest
	}
	return nil
}

func (r *InfoReader) wrong(kind resp.Kind) error {
	return fmt.Errorf("%w: XINFO STREAM has a value of kind %q for %.60q", resp.ErrProtocol, kind, r.field)
}

// Begin is of resp.Sink.
func (r *InfoReader) Begin(kind resp.Kind, n int) error {
	wrong := false
	switch r.depth {
	case 0:
		*r = InfoReader{info: Info{Exists: true, Added: -1, Partial: true}}
		wrong = n%2 != 0
	case 1:
		r.index++
		r.part = 0
		isName := r.index%2 == 1
		wrong = isName || r.number() != nil || r.id() != nil && (!r.isEntry() || n != 2)
	case 2:
		wrong = r.isEntry() && r.part != 1
		r.part++
	case 3:
		wrong = r.isEntry()
	}
	if wrong {
		return r.wrong(kind)
	}
	r.depth++
	return nil
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
		r.info, r.err = Info{}, resp.Error(s)
	case r.depth == 0:
		return r.wrong(kind)
	case r.depth == 1:
		if r.index++; r.index%2 == 0 {
			return r.value(kind, s, size)
		}
		r.field = string(s) // "" for one that is longer than any that is known
	case r.depth == 2 && r.isEntry():
		if r.part++; r.part != 1 {
			return r.wrong(kind)
		}
		return r.parse(r.id(), s, size)
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

func (r *InfoReader) value(kind resp.Kind, s []byte, size int) error {
	if n := r.number(); n != nil {
		var err error
		if *n, err = strconv.ParseInt(string(s), 10, 64); err != nil {
			return fmt.Errorf("%w: XINFO STREAM says %s is %.60q", resp.ErrProtocol, r.field, s)
		}
		return nil
	}
	id := r.id()
	if id == nil {
		return nil
	}
	if !r.isEntry() {
		return r.parse(id, s, size)
	}
	if kind != resp.Null {
		return r.wrong(kind)
	}
	return nil
}

// parse reads an id. The embedded server's is empty for a stream that has had no
// entry.
func (r *InfoReader) parse(id *ID, s []byte, size int) (err error) {
	if size == 0 && s != nil {
		return nil
	}
	if *id, err = parseID(s); err != nil {
		return fmt.Errorf("%w: XINFO STREAM says %s is %.60q: %w", resp.ErrProtocol, r.field, s, err)
	}
	return nil
}

// ErrAborted is returned for a transaction that the server did not carry out.
var ErrAborted = errors.New("the transaction was not carried out")
