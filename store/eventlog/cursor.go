package eventlog

import (
	"math"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// Cursor is a position in a log: what follows it has yet to be delivered. It is
// a small comparable value that its owner keeps, for one goroutine at a time.
// The methods of Log make cursors, and each is of use with that log only.
type Cursor struct {
	pos   redisstream.ID
	epoch uint32
	check bool // pos is a client's claim that the log could not confirm: ask Redis
	// Newest has the cursor return, of all that follows the position, only the
	// newest entry, and no gap of retention.
	Newest bool
	// Hint is how many entries the next page of history should ask for: 0 if
	// nothing is known. It is 0 whenever the log has what follows, so that
	// cursors at one position are equal.
	Hint uint16
}

// State tells why a Batch is as it is.
type State uint8

// The states of a cursor after Next.
const (
	UpToDate State = iota // nothing to deliver: wait to be woken
	Ready                 // the batch holds something; there may be more
	Behind                // the log does not reach back that far: read a Page, and call Place
)

// Batch is what comes next: a gap or none, and then entries in order. The
// entries are shared and must not be changed.
type Batch struct {
	Gap     *Gap
	Entries []Entry
}

// Pos returns the position: the id of the last entry that was returned, or
// where the cursor started.
func (c *Cursor) Pos() redisstream.ID { return c.pos }

// Epoch returns the epoch of the log that the cursor has seen last. A page for
// the cursor is read, shared and cached under it.
func (c *Cursor) Epoch() uint32 { return c.epoch }

// Rewind moves the position back to an id that the cursor has passed, so that
// what followed it is returned again.
func (c *Cursor) Rewind(id redisstream.ID) { c.pos = redisstream.Min(c.pos, id) }

// Now returns a cursor at the head.
func (l *Log) Now() Cursor {
	v := l.view.Load()
	return Cursor{pos: v.Head(), epoch: v.epoch}
}

// At returns a cursor that goes on after a client's position. If the log cannot
// tell that the position is one of this stream, Redis is asked. If it is not,
// the first batch has a gap.
func (l *Log) At(pos redisstream.ID) Cursor {
	v := l.view.Load()
	return Cursor{pos: pos, epoch: v.epochAt(pos), check: !v.Knows(pos)}
}

// From returns a cursor at a position that no client claims to have reached: a
// time, or a place before the last n entries. It is at the head if the position
// is beyond the head, or if the stream is gone.
func (l *Log) From(pos redisstream.ID) Cursor {
	v := l.view.Load()
	if v.Gone() {
		pos = v.Head()
	}
	return Cursor{pos: redisstream.Min(pos, v.Head()), epoch: v.epoch}
}

// Next returns what the log has after the cursor, up to about maxBytes of frames
// but at least one entry, and moves the cursor past it. It never blocks.
func (l *Log) Next(c *Cursor, maxBytes int) (Batch, State) {
	v := l.view.Load()
	if gap := l.enter(c, v); gap != nil {
		return Batch{Gap: gap}, Ready
	}
	if n := len(v.entries); c.Newest && n > 0 {
		last := &v.entries[n-1]
		if c.skipTo(last.ID.Prev()); last.Kind == KindTrimmed {
			c.skipTo(last.ID)
		}
	}
	if c.check && !v.Knows(c.pos) || c.pos.Less(v.floor) {
		return Batch{}, Behind
	}
	c.check, c.Hint = false, 0
	if !c.pos.Less(v.Head()) {
		return Batch{}, UpToDate
	}
	es := v.after(c.pos)
	if len(es) == 0 {
		c.pos = v.Head()
		return Batch{}, UpToDate
	}
	n, size := 0, 0
	for n < len(es) && (n == 0 || size+len(es[n].Frame) <= maxBytes) {
		size += len(es[n].Frame)
		n++
	}
	c.pos = es[n-1].ID
	return Batch{Entries: es[:n:n]}, Ready
}

// Idle reports whether Next would find nothing, at the cost of a few loads.
func (l *Log) Idle(c *Cursor) bool {
	v := l.view.Load()
	return c.epoch == v.epoch && !c.pos.Less(v.Head()) && !c.check
}

// skipTo moves the cursor forward to a position of the stream.
func (c *Cursor) skipTo(pos redisstream.ID) {
	if c.pos.Less(pos) {
		c.pos, c.check = pos, false
	}
}

// Skip moves a cursor that wants only the newest entry to the position before
// it, as Redis has it, but not ahead of the log; see View.Accept.
func (l *Log) Skip(c *Cursor, before redisstream.ID) {
	c.skipTo(redisstream.Min(before, l.View().Head()))
}

// Ended reports whether the channel has ended and the cursor has passed its end:
// the entry at the head is one with Entry.End set, and the cursor is there.
func (l *Log) Ended(c *Cursor) bool {
	v := l.view.Load()
	return v.final && c.pos == v.Head()
}

// enter brings a cursor to the log's epoch. It returns a gap if the cursor may
// have missed something. The gap resumes where it began if that position is one
// of the new stream, too: what followed it in the old stream is lost, and what
// follows it in the new one comes next.
func (l *Log) enter(c *Cursor, v *View) *Gap {
	if c.epoch == v.epoch {
		return nil
	}
	to, missed := v.resumed(c.pos, c.epoch)
	c.epoch = v.epoch
	if !missed {
		return nil
	}
	gap := &Gap{Channel: l.channel, After: c.pos, Resumed: to, Reason: metrics.GapReset}
	c.pos, c.check = to, false
	return gap
}

// Place moves a cursor that is Behind past a page, which was read for its
// position and epoch, and returns what the page has for it.
//
// An empty batch means: call Next. stale means that no view has accepted the
// page, because the stream is not the one that the log knows. The cursor keeps its
// position, and the page is to be read again when the tail has compared the two.
func (l *Log) Place(c *Cursor, p *Page) (b Batch, stale bool) {
	c.Hint = uint16(min(p.Next, math.MaxUint16))
	v := l.view.Load()
	switch {
	case c.epoch != v.epoch:
		return Batch{}, false // the page may be of the stream before the reset
	case !p.accepted:
		return Batch{}, true
	}
	pos, isReset := c.pos, p.GapReason == metrics.GapReset
	c.pos, c.check = p.UpTo, false
	entries := p.Entries
	if n := len(entries); c.Newest && n > 1 {
		entries = entries[n-1:]
	}
	if p.Resumed == pos || isReset && v.isVanishedAt(pos) || c.Newest && !isReset {
		return Batch{Entries: entries}, false
	}
	gap := &Gap{Channel: l.channel, After: pos, Resumed: p.Resumed, Reason: p.GapReason}
	if isReset && v.epoch > 0 && v.resetTo.Less(p.Resumed) {
		// The position is of the stream before the reset, and the log knows
		// where the stream of today parts from that one.
		gap.Resumed, c.pos = v.resetTo, v.resetTo
		entries = nil
	}
	return Batch{Gap: gap, Entries: entries}, false
}
