package store

import "math"

// A client's position claims that the stream had an entry there. The client may
// have got it from another stream, which somebody deleted, and with it what
// followed there: then it is told of a gap.

// isEntry reports whether a position makes that claim. 0-0 does not, where a
// client stands that has connected to an empty stream, nor does a moment; see
// Subscription.Since.
func (id ID) isEntry() bool { return !id.IsZero() && id.Seq != math.MaxUint64 }

// start returns the first entry of a stream from which nothing was ever removed,
// 0-0 for any other.
func (i *streamInfo) start() ID {
	if i.added != i.length {
		return ID{}
	}
	return i.first
}

// isOther reports whether a position is of another stream under the same name as
// the one that starts there.
func isOther(pos, start ID) bool { return pos.isEntry() && pos.Next().Less(start) }

// isOf reports whether the page is of the stream that the window is of, as far as
// can be told: the stream reaches up to the window's head, and did not begin
// after it.
func (p *page) isOf(v *view) bool {
	return !p.last.Less(v.head) && (v.head.IsZero() || !v.head.Less(p.start))
}

// epochOf returns the epoch that a client's position is of: the one before the
// last reset if the stream has gone on without an entry up to there.
func (v *view) epochOf(pos ID) uint32 {
	n := len(v.resets)
	if n == 0 || !pos.isEntry() {
		return v.epoch
	}
	last := v.resets[n-1]
	if pos == v.end && v.head.Less(pos) {
		return last.epoch - 1 // the end of a stream that is gone
	}
	if last.to.Less(v.floor) || !last.to.Less(pos) {
		return v.epoch
	}
	if next := v.after(last.to); len(next) == 0 || next[0].mayBeAfter(pos) {
		return v.epoch
	}
	return last.epoch - 1
}

// knows reports whether a client's position is one that the stream may have had.
// It had none that is beyond the window; and before the first entry of the window
// there may have been another stream, which somebody deleted.
func (v *view) knows(pos ID) bool {
	switch {
	case pos == v.end:
		return true
	case v.head.Less(pos):
		return false
	case pos == v.head || pos == v.floor || !pos.isEntry():
		return true
	}
	return len(v.entries) > 0 && v.entries[0].mayBeAfter(pos)
}

// mayBeAfter reports whether the stream may have had an entry at the position,
// if this is the first that the window has: it is not after the position, or
// right after it, or stands for entries that were trimmed.
func (e *Entry) mayBeAfter(pos ID) bool {
	return e.Kind == KindTrimmed || !pos.Next().Less(e.ID)
}
