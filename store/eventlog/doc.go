// Package eventlog keeps the newest entries of streams in memory, and moves
// cursors over them. It does no I/O, knows no Redis, and reads no clock.
//
// # Log
//
// A [Log] holds one stream's entries in (floor, head]. The tail appends at the
// head; eviction raises the floor; a page of history that reaches the floor may
// lower it again. The content at one moment is a [View], which never changes, so
// cursors read it without a lock.
//
// Invariant of a view: every entry of the stream in (floor, head] that existed
// when it was read is in the view, once, in ascending order.
//
// The tail takes a View, reads the stream from its head on, and applies what it
// found. If somebody changed the head or the epoch meanwhile, the change is
// refused and the stream has to be read again.
//
//	Append    (20,21] arrive          (0, 20] -> (0, 21]
//	eviction  only two may stay       {10 20 21}, floor 0 -> {20 21}, floor 10
//	trim      22 is trimmed before the tail has read it: a gap entry (KindTrimmed)
//	          with the id before 23 stands in its place: {21 gap 23}
//	Prepend   a page has all of (0, 20]: floor 10 -> 0
//
// A [Budget] bounds the bytes of all logs, and a [PageCache] those of the pages
// that many clients share when they come back at once.
//
// # Cursors
//
// A [Cursor] is a position: what follows it has yet to be delivered. A cursor
// at or after the floor takes entries by [Log.Next]. A cursor before the floor
// is [Behind]: its owner reads a [Page] of history and moves the cursor with
// [Log.Place].
//
// A client that comes back names the id of the last entry that it got, perhaps of
// another stream of the same name that somebody deleted. [Log.At] therefore accepts
// the position only if the log can tell that the stream had an entry there, or may
// have had one. If not, the cursor is Behind, and the page has the answer.
//
// # Epochs
//
// A stream is replaced when somebody deletes it and writes another, or when a
// failover brings an older copy back. [Log.Reset] takes the log to the last
// position that both streams have, and begins a new epoch. A cursor of the epoch
// before is told of a gap, with reason reset, whenever it looks:
//
//	the log has 10 20 21, and the copy that comes back has only 10: Reset to 10
//	cursor at 21: gap after 21, resumed 10    it is beyond what is left
//	cursor at 10: gap after 10, resumed 10    20 and 21 are lost, and it had neither
//
// Invariant: a cursor of the epoch just before is told of a gap if and only if
// its position is after the reset's position, or the old stream had entries after
// the reset's position. In the second case a cursor at or before that position
// cannot have got those entries. An entry that the tail never read leaves no
// trace.
//
// A cursor that slept through several resets is always told of a gap, which begins
// at the lowest position of all, or at its own if that is lower. So it may be told
// of a gap that it did not need, and get entries again; it never loses one in
// silence.
//
// A stream that expires or is deleted loses nothing for a client that has all of
// it. [Log.Vanish] drops the entries and keeps the head:
//
//	the log has 10 20 21, and the key expires: head 21, floor 0, no entries
//	cursor at 21: no gap; it goes on when the stream is there again
//	cursor at 20: gap after 20, resumed 21; 21 is lost
//
// If the stream comes back with ids after 21, it is appended. If it comes back
// with ids that are not, that is a Reset to 0-0.
package eventlog
