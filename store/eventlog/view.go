package eventlog

import (
	"slices"
	"sort"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// View is the content of a Log at one moment. It is immutable, so any number of
// cursors read it without a lock. See the package documentation for its
// invariant.
type View struct {
	known redisstream.Known // known.Head is the head, inclusive
	floor redisstream.ID    // exclusive
	epoch uint32            // how often the stream was reset or vanished
	// final tells that the channel ends with the entry at the head. It outlives
	// the entry: neither retention nor the end of the whole stream reopens the
	// channel. Only an entry that follows does.
	final   bool
	entries []Entry
	bytes   int // of entries
	garbage int // of the evicted entries which their array still holds, in bytes
	*epochStart
}

// epochStart is how an epoch began. It is immutable, and shared by all views of the
// epoch: few streams are ever reset.
type epochStart struct {
	// resetTo is up to where the stream agrees with that of the epoch before, or the
	// head of that one if it vanished. lost tells that it had entries after resetTo.
	// Both mean nothing in epoch 0.
	resetTo redisstream.ID
	lost    bool
	lowest  redisstream.ID // the lowest resetTo of all epochs
	// vanishedAt is the head of a stream that vanished, and after which this one
	// began; 0-0 if there is none. A reset keeps it only if it lies before resetTo.
	vanishedAt redisstream.ID
}

// firstEpoch is the start of epoch 0, of all logs.
var firstEpoch = &epochStart{lowest: redisstream.MaxID}

// Known returns what is known of the stream at the head.
func (v *View) Known() redisstream.Known { return v.known }

// Head returns the newest position of the log.
func (v *View) Head() redisstream.ID { return v.known.Head }

// Floor returns the position after which the log has every entry.
func (v *View) Floor() redisstream.ID { return v.floor }

// Epoch returns a number that changes whenever the stream is reset or vanishes.
func (v *View) Epoch() uint32 { return v.epoch }

// Gone reports that the stream does not exist.
func (v *View) Gone() bool { return v.known.Gone }

// Len returns the number of entries.
func (v *View) Len() int { return len(v.entries) }

// Bytes returns the memory that the view holds, evicted entries that are not free
// yet included.
func (v *View) Bytes() int { return v.bytes + v.garbage }

// Has reports whether the log has an entry with the id, or has its floor there.
func (v *View) Has(id redisstream.ID) bool {
	n := v.upTo(id)
	return id == v.floor || n > 0 && v.entries[n-1].ID == id
}

// BeforeLast returns the position before the newest n entries. ok is false if
// the log does not reach back that far.
func (v *View) BeforeLast(n int) (pos redisstream.ID, ok bool) {
	switch {
	case n <= 0:
		return v.Head(), true
	case n < len(v.entries):
		return v.entries[len(v.entries)-n-1].ID, true
	}
	return redisstream.ID{}, false
}

// Knows reports whether the stream may have had an entry at a client's
// position. It had none beyond the head. Before the log's first entry there may
// have been another stream, which somebody deleted.
func (v *View) Knows(pos redisstream.ID) bool {
	switch {
	case v.Head().Less(pos):
		return false
	case pos == v.Head() || pos == v.floor || !pos.NamesEntry() || v.isVanishedAt(pos):
		return true
	}
	return len(v.entries) > 0 && v.entries[0].mayFollow(pos)
}

// Covers reports whether the log has what follows a client's position, and
// that is not nothing. If not, history has to be read.
func (v *View) Covers(pos redisstream.ID) bool {
	return !pos.Less(v.floor) && pos.Less(v.Head()) && v.Knows(pos)
}

// upTo returns the number of entries up to and including pos.
func (v *View) upTo(pos redisstream.ID) int { return upTo(v.entries, pos) }

func upTo(entries []Entry, pos redisstream.ID) int {
	return sort.Search(len(entries), func(i int) bool { return pos.Less(entries[i].ID) })
}

// after returns the entries after pos, which must not be before the floor.
func (v *View) after(pos redisstream.ID) []Entry {
	es := v.entries
	// Most cursors are at the head or one entry behind it.
	if n := len(es); n == 0 || !pos.Less(es[n-1].ID) {
		return nil
	} else if n == 1 || !pos.Less(es[n-2].ID) {
		return es[n-1:]
	}
	return es[v.upTo(pos):]
}

// isVanishedAt reports whether pos is the end of a stream that vanished before this
// one began: a client there has all of it.
func (v *View) isVanishedAt(pos redisstream.ID) bool { return !pos.IsZero() && pos == v.vanishedAt }

// resumed returns where a cursor at pos goes on that was last in the given
// epoch, and whether it may have missed something.
func (v *View) resumed(pos redisstream.ID, epoch uint32) (to redisstream.ID, missed bool) {
	switch {
	case epoch == v.epoch:
		return pos, false
	case epoch+1 != v.epoch:
		if to = redisstream.Min(pos, v.lowest); to.Less(v.vanishedAt) {
			to = v.vanishedAt // the stream has nothing up to there
		}
		return to, true
	case v.isVanishedAt(v.resetTo):
		return v.resetTo, pos != v.resetTo
	}
	return redisstream.Min(pos, v.resetTo), v.lost || v.resetTo.Less(pos)
}

// epochAt returns the epoch that a client's position belongs to: the previous
// one if the stream of the current epoch cannot have had an entry there.
func (v *View) epochAt(pos redisstream.ID) uint32 {
	switch {
	case v.epoch == 0 || !pos.NamesEntry():
		return v.epoch
	case v.isVanishedAt(v.resetTo) && pos.Less(v.resetTo):
		return v.epoch - 1
	case v.resetTo.Less(v.floor) || !v.resetTo.Less(pos):
		return v.epoch // the first entry after it is not known, or pos is in both streams
	}
	if next := v.after(v.resetTo); len(next) == 0 || next[0].mayFollow(pos) {
		return v.epoch
	}
	return v.epoch - 1
}

// newEpoch begins an epoch whose stream agrees with that of the one before up to a
// position; see epochStart for the other parameters. The caller has a view that is not
// stored yet, here and below.
func (v *View) newEpoch(to redisstream.ID, lost bool, vanishedAt redisstream.ID) {
	v.epoch++
	v.epochStart = &epochStart{resetTo: to, lost: lost, lowest: redisstream.Min(v.lowest, to), vanishedAt: vanishedAt}
}

// prepend puts older entries of a page in front of the view's own: at most
// maxEvents and maxBytes of them. Nothing happens unless the page reaches the
// floor, and agrees with the view about what follows the floor.
func (v *View) prepend(p *Page, maxEvents, maxBytes int) {
	if p.UpTo.Less(v.floor) || !p.Resumed.Less(v.floor) {
		return
	}
	end := upTo(p.Entries, v.floor)
	if end < len(p.Entries) {
		id := p.Entries[end].ID
		if len(v.entries) == 0 && !v.Head().Less(id) || len(v.entries) > 0 && id != v.entries[0].ID {
			return // another stream under the same name, which the tail has yet to see
		}
	}
	start := end
	for size := 0; start > 0 && end-start < maxEvents; start-- {
		if size += p.Entries[start-1].size(); size > maxBytes {
			break
		}
	}
	v.floor = p.Resumed
	if start > 0 {
		v.floor = p.Entries[start-1].ID
	}
	if start < end {
		v.entries = slices.Concat(p.Entries[start:end], v.entries)
		v.bytes, v.garbage = sizeOf(v.entries), 0
	}
}

// maxGarbage is how much memory of evicted entries a log may always keep, in
// bytes. Copying the array to free less is not worth the time.
const maxGarbage = 32 << 10

// evict drops the n oldest entries and raises the floor. It copies the array, which
// frees them, if compact is set or they have become many.
func (v *View) evict(n int, compact bool) {
	v.floor = v.entries[n-1].ID
	size := sizeOf(v.entries[:n])
	v.bytes, v.garbage = v.bytes-size, v.garbage+size
	v.entries = v.entries[n:]
	if compact || v.garbage > maxGarbage && v.garbage > v.bytes/2 {
		v.entries, v.garbage = slices.Clone(v.entries), 0
	}
}
