package redisstream

// Known is what a reader knows of a stream at the position up to which it has
// read.
type Known struct {
	Head       ID    // the last entry that was read, or where reading began
	HeadExists bool  // the stream had an entry with the id Head
	Gone       bool  // there was no stream when it was last looked at, and Head is of the one before
	Counts     bool  // the server has entries-added
	Added      int64 // the stream's entries-added at Head; -1 if unknown
	Removed    int64 // entries-added less length when the stream was last looked at; -1 if unknown
	First      ID    // the stream's first entry when it was last looked at
}

// Start is what is known of a stream that is read from its newest entry on.
func Start(info Info) Known {
	k := Known{Head: info.Last, HeadExists: !info.never() && info.Newest == info.Last, Added: info.Added}
	if !info.Exists {
		k.Added = 0
	}
	k.look(info)
	return k
}

// look takes over what XINFO says of the stream as a whole.
func (k *Known) look(info Info) {
	k.First, k.Removed, k.Gone = info.First, -1, info.never() && !k.Head.IsZero()
	if info.Exists {
		k.Counts = info.Added >= 0
	}
	if info.Added >= 0 {
		k.Removed = info.Added - info.Length
	}
}

// never reports that there is no stream, or one that has never had an entry, as
// XGROUP CREATE with MKSTREAM makes it. Nothing can have been missed of either.
func (i *Info) never() bool { return !i.Exists || i.Last.IsZero() }

// Snapshot is a stream at one moment: what XINFO says of it, and what an XRANGE
// that began at Known.Head found.
type Snapshot struct {
	Info      Info
	HeadFound bool // the entry with the id Known.Head is there
	Next      ID   // the first entry after Known.Head; 0-0 if there is none
	Entries   int  // how many entries after Known.Head were read
	More      bool // there may be more than those
	// TrimsInside is set for a server that may trim entries from the middle of
	// a stream without a trace: XADD and XTRIM with ACKED, Redis 8.2.
	TrimsInside bool
}

// Continuity says what became of a stream since it was last read.
type Continuity uint8

// The outcomes of Classify.
const (
	Continues Continuity = iota // the entries follow Head, and none is missing
	Trimmed                     // entries between Head and the first of them were trimmed
	Vanished                    // the stream does not exist any more
	Replaced                    // it is another stream, or an older copy
)

// Classify compares what is known of a stream with a snapshot of it. resumed
// is for Trimmed: the position after which the stream goes on.
func (k Known) Classify(s Snapshot) (_ Continuity, resumed ID) {
	info := s.Info
	counted := info.Added >= 0 && k.Added >= 0
	switch {
	case info.never() && (k.Gone || k.Head.IsZero()):
		return Continues, ID{}
	case info.never():
		return Vanished, ID{}
	case info.Last.Less(k.Head):
		return Replaced, ID{}
	case k.Gone && !k.Head.Less(info.oldest()):
		return Replaced, ID{} // a new stream, whose ids go back
	case counted && info.Added < k.Added:
		return Replaced, ID{} // a new stream under the old name
	}
	passed := k.Head.Less(info.First) || info.First.IsZero() && k.Head.Less(info.Last)
	if !passed {
		if k.lostHead(s) {
			return Replaced, ID{}
		}
		return Continues, ID{}
	}
	resumed = info.Last
	if s.Entries > 0 {
		resumed = s.Next.Prev()
	}
	head := k.Head
	if k.Gone {
		head = ID{} // all of the new stream follows
	}
	lost := info.First.IsZero() || info.LostBetween(head, info.First)
	if counted {
		// The stream has nothing left of what had been added up to Head. What
		// was removed beyond that was removed after Head. If less was removed
		// than that, this is another stream.
		removed := info.Added - info.Length
		if removed < k.Added {
			return Replaced, ID{}
		}
		lost = removed > k.Added
	}
	if !lost || resumed == k.Head {
		return Continues, ID{}
	}
	return Trimmed, resumed
}

// lostHead reports that the entry at Head has disappeared from the middle of
// the stream, and neither XDEL nor retention explains it: the stream is a copy
// from before the entry was written.
func (k Known) lostHead(s Snapshot) bool {
	info := s.Info
	if !k.HeadExists || s.HeadFound || info.First.IsZero() || info.Added < 0 || !info.Deleted.Less(k.Head) {
		return false
	}
	if !s.TrimsInside || k.Added < 0 || k.Removed < 0 {
		return true
	}
	// A copy that lost entries has fewer additions after Head than entries
	// there. A trim inside the stream leaves no fewer, and removes some. Where
	// not all entries were read nothing proves that it was a trim.
	return s.More || int64(s.Entries) > info.Added-k.Added || info.Added-info.Length <= k.Removed
}

// After returns what is known once so many entries that followed Head were
// read, up to head. snapshot is where they come from; nil if it was a read of
// entries alone, which says nothing of the stream as a whole.
func (k Known) After(head ID, entries int, snapshot *Snapshot) Known {
	next := k
	next.Head = head
	if entries > 0 {
		next.HeadExists = true
	}
	if snapshot == nil {
		if k.Added >= 0 {
			next.Added += int64(entries)
		}
		return next
	}
	info := snapshot.Info
	next.look(info)
	if entries == 0 {
		next.HeadExists = snapshot.HeadFound
	}
	switch {
	case info.Added < 0 || !snapshot.More:
		next.Added = info.Added
	case k.Head.Less(info.First): // the entries are the oldest that the stream has
		next.Added = info.Added - info.Length + int64(entries)
	case k.Added >= 0:
		next.Added = k.Added + int64(entries)
	}
	return next
}

// oldest returns the first entry, or the last one that there was if there is
// none any more.
func (i *Info) oldest() ID {
	if i.First.IsZero() {
		return i.Last
	}
	return i.First
}

// LostBetween reports whether entries after pos and before next may have been
// trimmed. next is the oldest entry of the stream, or where its next one would
// be.
func (i *Info) LostBetween(pos, next ID) bool {
	if i.First != next && !i.First.IsZero() || pos.Next() == next {
		return false // retention has not passed pos
	}
	if i.Added < 0 {
		// Redis before 7.0 does not count. A client that connected to the empty
		// stream, at 0-0, gets the benefit of the doubt; everybody else a gap.
		return !pos.IsZero()
	}
	return i.Added != i.Length // if nothing was ever removed, nothing was missed
}

// Start returns the first entry of a stream from which nothing was ever
// removed, 0-0 for any other.
func (i *Info) Start() ID {
	if i.Added != i.Length {
		return ID{}
	}
	return i.First
}

// Predates reports whether a position is of another stream under the same name
// than the one that starts there; see Info.Start.
func Predates(pos, start ID) bool { return pos.NamesEntry() && pos.Next().Less(start) }
