package eventlog

import (
	"slices"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// Page is a part of a stream as one atomic read of history found it. It is
// immutable once View.Accept has returned.
type Page struct {
	Resumed   redisstream.ID // the entries follow this: the position asked for, or the end of a gap
	GapReason string         // set if Resumed is not the position asked for
	Entries   []Entry        // all there are in (Resumed, UpTo]
	UpTo      redisstream.ID
	Start     redisstream.ID // of the stream; see redisstream.Info.Start
	Last      redisstream.ID // the stream's last-generated-id; 0-0 if it does not exist
	Next      int            // how many entries the following page should ask for

	accepted bool
}

// Accept reports whether a page is of the stream that the view is of, as far as
// can be told: the stream reaches up to the head, and did not begin after it.
// The view must be from before the page was read. Only an accepted page may be
// cached, and only from an accepted page does Place take anything.
//
// Accept cuts the page at the head. A cursor must not get ahead of the tail: if
// the stream were reset to a point between the two, the log would not know that
// the cursor had lost anything, and the cursor would wait for ids that have
// passed.
func (v *View) Accept(p *Page) bool {
	head := v.Head()
	switch {
	case v.Gone() && p.Last.IsZero():
		// The log's floor is 0-0, so nothing but the head is a place to go on.
		p.Resumed, p.GapReason, p.Entries, p.UpTo = head, metrics.GapReset, nil, head
	case p.Last.Less(head) || !head.IsZero() && head.Less(p.Start):
		return false
	case head.Less(p.UpTo):
		p.Entries = p.Entries[:upTo(p.Entries, head)]
		if p.UpTo = p.Resumed; p.UpTo.Less(head) {
			p.UpTo = head
		}
	}
	p.Entries = slices.Clip(p.Entries)
	p.accepted = true
	return true
}

// answer returns the page, which was read for the position asked, as if it had
// been read for pos. It returns nil if the page cannot tell what follows pos.
// The page has entries.
func (p *Page) answer(asked, pos redisstream.ID) *Page {
	again, first := *p, p.Entries[0].ID
	switch {
	case pos == asked:
		return p
	case first == p.Start && redisstream.Predates(pos, first):
		// The stream begins with this page: it begins anew for everybody who
		// comes from another stream.
		again.Resumed, again.GapReason = first.Prev(), metrics.GapReset
	case pos.Less(p.Resumed):
		// Retention has passed all positions before what is left, except
		// perhaps 0-0: see redisstream.Info.LostBetween.
		if p.GapReason != metrics.GapTrimmed || pos.IsZero() {
			return nil
		}
	case !pos.Less(p.UpTo):
		return nil
	case pos.Less(first) && pos != p.Resumed && pos.NamesEntry():
		return nil // it may be of another stream; see View.Knows
	default:
		again.Resumed, again.GapReason, again.Entries = pos, "", p.Entries[upTo(p.Entries, pos):]
	}
	return &again
}
