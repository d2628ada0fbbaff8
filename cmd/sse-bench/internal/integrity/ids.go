package integrity

import (
	"cmp"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// EntryID is the id of an entry in a Redis stream.
type EntryID struct{ MS, Seq uint64 }

// ParseEntryID reads "ms-seq"; ok is false for anything else.
func ParseEntryID(s string) (id EntryID, ok bool) {
	ms, seq, found := strings.Cut(s, "-")
	if !found {
		return id, false
	}
	var err1, err2 error
	id.MS, err1 = strconv.ParseUint(ms, 10, 64)
	id.Seq, err2 = strconv.ParseUint(seq, 10, 64)
	return id, err1 == nil && err2 == nil
}

// String returns "ms-seq".
func (a EntryID) String() string { return fmt.Sprintf("%d-%d", a.MS, a.Seq) }

// Compare returns -1, 0 or 1, as cmp.Compare.
func (a EntryID) Compare(b EntryID) int {
	return cmp.Or(cmp.Compare(a.MS, b.MS), cmp.Compare(a.Seq, b.Seq))
}

// Noted is an event of a channel and the id that it got.
type Noted struct {
	ID  EntryID
	Seq int64
}

// IDLog is what the publisher knows of the ids of one channel, in order. An
// event whose id it could not learn is left out.
type IDLog []Noted

// Add notes the id of the next event. Ids only rise in a stream: those that are
// not below it were lost with an older copy of the stream, and would only mislead.
func (l IDLog) Add(e Noted) IDLog {
	for len(l) > 0 && l[len(l)-1].ID.Compare(e.ID) >= 0 {
		l = l[:len(l)-1]
	}
	return append(l, e)
}

// Place returns how many of the channel's published events are at or before a
// position; events whose ids are unknown may be on either side.
func (l IDLog) Place(position EntryID, published int64) Place {
	i := sort.Search(len(l), func(i int) bool { return l[i].ID.Compare(position) > 0 })
	p := Place{High: published}
	if i < len(l) {
		p.High = l[i].Seq - 1
	}
	if i > 0 {
		p.Low = l[i-1].Seq
	}
	return p
}
