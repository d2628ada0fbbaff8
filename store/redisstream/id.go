package redisstream

import (
	"cmp"
	"errors"
	"math"
	"strconv"
)

// ID is the id of a Redis Stream entry: milliseconds and a sequence number
// within them. The zero ID, 0-0, precedes every entry.
// See https://redis.io/docs/latest/develop/data-types/streams/#entry-ids.
type ID struct {
	Ms  uint64 // milliseconds, of the Unix epoch unless a publisher chose otherwise
	Seq uint64
}

// MaxID is the greatest id that a stream can hold.
var MaxID = ID{math.MaxUint64, math.MaxUint64}

// maxIDLen is the length of MaxID in text.
const maxIDLen = 41

var errID = errors.New("not a stream id of the form milliseconds-sequence")

// ParseID reads the canonical text of an id, as Redis and String write it:
// two decimal numbers without leading zeros, joined by a dash.
func ParseID(s string) (ID, error) { return parseID(s) }

func parseID[T string | []byte](s T) (ID, error) {
	ms, n, ok := parseUint(s)
	if !ok || n >= len(s) || s[n] != '-' {
		return ID{}, errID
	}
	seq, m, ok := parseUint(s[n+1:])
	if !ok || n+1+m != len(s) {
		return ID{}, errID
	}
	return ID{ms, seq}, nil
}

// parseUint reads a canonical decimal number at the start of s and tells how
// many bytes it has.
func parseUint[T string | []byte](s T) (v uint64, n int, ok bool) {
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		d := uint64(s[n] - '0')
		if v > (math.MaxUint64-d)/10 {
			return 0, n, false
		}
		v = v*10 + d
		n++
	}
	return v, n, n == 1 || n > 1 && s[0] != '0'
}

// AppendTo appends the text of the id to b.
func (id ID) AppendTo(b []byte) []byte {
	b = strconv.AppendUint(b, id.Ms, 10)
	b = append(b, '-')
	return strconv.AppendUint(b, id.Seq, 10)
}

// String returns the id as Redis writes it.
func (id ID) String() string { return string(id.AppendTo(make([]byte, 0, maxIDLen))) }

// Compare returns -1, 0 or 1 as id is before, at or after other.
func (id ID) Compare(other ID) int {
	return cmp.Or(cmp.Compare(id.Ms, other.Ms), cmp.Compare(id.Seq, other.Seq))
}

// Less reports whether id is before other.
func (id ID) Less(other ID) bool {
	return id.Ms < other.Ms || id.Ms == other.Ms && id.Seq < other.Seq
}

// IsZero reports whether id is 0-0.
func (id ID) IsZero() bool { return id == ID{} }

// Next returns the least id after id. MaxID has none and returns itself.
func (id ID) Next() ID {
	switch {
	case id.Seq < math.MaxUint64:
		return ID{id.Ms, id.Seq + 1}
	case id.Ms < math.MaxUint64:
		return ID{id.Ms + 1, 0}
	}
	return id
}

// Prev returns the greatest id before id. The zero ID has none and returns
// itself.
func (id ID) Prev() ID {
	switch {
	case id.Seq > 0:
		return ID{id.Ms, id.Seq - 1}
	case id.Ms > 0:
		return ID{id.Ms - 1, math.MaxUint64}
	}
	return id
}

// Min returns the smaller of two ids.
func Min(a, b ID) ID {
	if b.Less(a) {
		return b
	}
	return a
}

// NamesEntry reports whether a client that stands at the id claims that the
// stream had an entry there. 0-0 makes no such claim: a client that connected
// to an empty stream stands there. Nor does a time position, which is the last
// id of a millisecond.
func (id ID) NamesEntry() bool { return !id.IsZero() && id.Seq != math.MaxUint64 }
