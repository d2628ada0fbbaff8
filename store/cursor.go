package store

import (
	"context"
	"errors"
	"sort"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// Cursor is a position in a channel: what comes after it has yet to be
// delivered. It is a small value that its owner keeps; it must not be used by
// several goroutines at once, nor after its Subscription was closed.
type Cursor struct {
	sub   *Subscription
	pos   ID
	epoch uint32
	check bool // pos is a client's word, and the window did not know it: ask Redis
	// newest has the cursor pass over all but the newest entry; see OnlyNewest.
	newest bool
	// pace is how many entries the next page of history asks for; 0 if there was
	// none, or the window has taken over, so that cursors at one position are
	// equal.
	pace uint16
}

// State tells why a Batch is as it is.
type State uint8

// The states of a cursor after Next.
const (
	UpToDate State = iota // nothing to deliver: wait for the waker
	Ready                 // the batch holds something; there may be more
	Behind                // the window does not reach back that far: call Fetch
)

// Batch is what comes next: a gap or none, and then entries in order. The
// entries are shared and must not be changed.
type Batch struct {
	Gap     *Gap
	Entries []Entry
}

// Pos returns the position: the id of the last entry that was returned, or
// where the cursor started.
func (c *Cursor) Pos() ID { return c.pos }

// Rewind moves the position back to an id that the cursor has passed, so that
// what came after it is returned again.
func (c *Cursor) Rewind(id ID) { c.pos = minID(c.pos, id) }

// Sub returns the subscription that the cursor belongs to.
func (c *Cursor) Sub() *Subscription { return c.sub }

// OnlyNewest has the cursor return, of all that follows the position, only the
// newest entry, and no gap of retention: what lies before it does not count.
func (c *Cursor) OnlyNewest() { c.newest = true }

// Ended reports whether the channel has ended and the cursor has passed its end:
// the newest entry of the stream, as far as the replica knows, is one with
// Entry.End set, and it is not after the position. A replica that has seen the
// end knows of it for as long as it follows the channel, also when retention has
// removed the entry or the stream has expired.
func (c *Cursor) Ended() bool {
	v := c.sub.w.view.Load()
	return !v.end.IsZero() && !c.pos.Less(v.end) && (c.pos == v.end || !v.head.Less(c.pos))
}

// Next returns what the window holds after the position, up to about maxBytes
// of it but at least one entry, and moves past it. It never blocks.
func (c *Cursor) Next(maxBytes int) (Batch, State) {
	v := c.sub.w.view.Load()
	if c.epoch != v.epoch {
		if gap := c.enterEpoch(v); gap != nil {
			return Batch{Gap: gap}, Ready
		}
	}
	if c.newest {
		c.skip(v)
	}
	if c.check && !v.knows(c.pos) {
		return Batch{}, Behind
	}
	c.check = false
	if c.pos.Less(v.floor) {
		return Batch{}, Behind
	}
	c.pace = 0
	if !c.pos.Less(v.head) {
		return Batch{}, UpToDate
	}
	es := v.after(c.pos)
	if len(es) == 0 {
		c.pos = v.head
		return Batch{}, UpToDate
	}
	n, size := 0, 0
	for n < len(es) && (n == 0 || size+len(es[n].Frame) <= maxBytes) {
		size += len(es[n].Frame)
		n++
	}
	c.pos = es[n-1].ID
	return Batch{Entries: es[:n]}, Ready
}

// skip passes over all that the window has but the newest entry.
func (c *Cursor) skip(v *view) {
	n := len(v.entries)
	if n == 0 || !c.pos.Less(v.entries[n-1].ID) {
		return
	}
	last := &v.entries[n-1]
	if c.pos, c.check = last.ID.Prev(), false; last.Kind == KindTrimmed {
		c.pos = last.ID
	}
}

// Idle reports whether Next would find nothing, at the cost of a few loads.
func (c *Cursor) Idle() bool {
	v := c.sub.w.view.Load()
	return c.epoch == v.epoch && !c.pos.Less(v.head) && !c.check
}

// enterEpoch brings the cursor to the view's epoch and returns the gap if it has
// missed something. Such a gap resumes where it began if the position is one of
// the stream of today, too: what followed it there is gone, and what follows it
// here comes next.
func (c *Cursor) enterEpoch(v *view) *Gap {
	to, missed := v.resumed(c.pos, c.epoch)
	c.epoch = v.epoch
	if !missed {
		return nil
	}
	gap := &Gap{Channel: c.sub.w.channel, After: c.pos, Resumed: to, Reason: metrics.GapReset}
	c.pos = to
	return gap
}

// Fetch reads one page of the stream after the position from Redis and moves
// past it. It is for a cursor that is Behind, and blocks until the page was
// read, ctx ends or Redis fails; on an error the position is unchanged and
// Fetch may be called again: after an ErrStale soon, else after a while. An empty
// batch without an error means: call Next.
func (c *Cursor) Fetch(ctx context.Context) (Batch, error) {
	w, st := c.sub.w, c.sub.store
	v := w.view.Load()
	if c.epoch != v.epoch {
		if gap := c.enterEpoch(v); gap != nil {
			return Batch{Gap: gap}, nil
		}
	}
	if c.newest {
		if err := c.seekNewest(ctx, v); err != nil {
			return Batch{}, err
		}
	}
	p, err := st.history.page(ctx, w, c.epoch, c.pos, int(c.pace))
	if errors.Is(err, errCovered) {
		return Batch{}, nil
	}
	if err != nil {
		c.pace = 0
		return Batch{}, err
	}
	c.pace = uint16(p.next)
	now := w.view.Load()
	if now.epoch != v.epoch {
		return Batch{}, nil // the page may be of either incarnation of the stream
	}
	if !p.isOf(v) {
		// The stream was reset and the tail has yet to see it (or the page was
		// asked for before v.head was read). The tail compares the two streams;
		// until then nothing is certain.
		st.recheck(w)
		return Batch{}, ErrStale
	}
	c.check = false
	entries, upTo := p.until(now.head)
	if c.newest && len(entries) > 1 {
		entries = entries[len(entries)-1:]
	}
	if p.resumed == c.pos || c.newest && p.gapReason == metrics.GapTrimmed {
		c.pos = upTo
		return Batch{Entries: entries}, nil
	}
	gap := &Gap{Channel: w.channel, After: c.pos, Resumed: p.resumed, Reason: p.gapReason}
	if n := len(v.resets); gap.Reason == metrics.GapReset && n > 0 && v.resets[n-1].to.Less(p.resumed) {
		// The position is of the stream before the reset, and this window
		// knows where today's stream parts from that one.
		gap.Resumed = v.resets[n-1].to
		c.pos = gap.Resumed
		return Batch{Gap: gap}, nil
	}
	c.pos = upTo
	return Batch{Gap: gap, Entries: entries}, nil
}

// seekNewest moves the position to just before the newest entry of the stream,
// but not ahead of the tail: see until.
func (c *Cursor) seekNewest(ctx context.Context, v *view) error {
	before, err := c.sub.store.history.back(ctx, c.sub.w, 1)
	if before = minID(before, v.head); err == nil && c.pos.Less(before) {
		c.pos, c.check = before, false
	}
	return err
}

// until returns the entries of the page up to the head of the window, and where
// they end. A cursor must not get ahead of the tail: if the stream were reset to
// a point between the two, the tail would not know that anything was lost, and
// the cursor would wait for ids that have passed.
func (p *page) until(head ID) (entries []Entry, upTo ID) {
	if !head.Less(p.upTo) {
		return p.entries, p.upTo
	}
	n := sort.Search(len(p.entries), func(i int) bool { return head.Less(p.entries[i].ID) })
	if upTo = p.resumed; upTo.Less(head) {
		upTo = head
	}
	return p.entries[:n], upTo
}
