package store

import "sync/atomic"

// How many entries to ask for at once: as many as make about a page, by the size
// of those that were seen before. What is larger than expected lowers the number
// at once, what is smaller raises it step by step. So a reply can be much larger
// than meant only after several that were not, and what is read for nothing
// remains in proportion to what is read for good.

const (
	// pageBytes is about how much one read of history asks for.
	pageBytes = 128 << 10
	// tailBytes is about how much one read of one stream's tail asks for. A
	// stream that has more stays in the queue.
	tailBytes = 128 << 10
	// pageEntries is the most entries that one read asks for: Redis serves
	// nobody else meanwhile.
	pageEntries = 512
	// firstEntries is the most that a cursor's first page asks for. Of the
	// entries there little is known, and Redis has to put all of them into the
	// reply. Whoever was away for a moment has missed fewer.
	firstEntries = 128
)

// learn takes the average size of entries that were read into the running
// average, in bytes, which rises at once and sinks slowly.
func learn(avg *atomic.Int64, got reading) {
	if got.seen > 0 {
		avg.Store(max(int64(got.bytes/got.seen)+entryOverhead, avg.Load()*3/4))
	}
}

// entriesIn is how many entries of the average size make so many bytes.
func entriesIn(bytes, avg int64) int { return int(min(max(bytes/max(avg, 1), 1), pageEntries)) }

// tailCount is how many entries of this stream the tail asks for.
func (w *window) tailCount() int { return entriesIn(tailBytes, w.avgSize.Load()) }

// pageSize is how many entries of this stream a page of history has, as far as
// is known.
func (w *window) pageSize() int {
	return entriesIn(pageBytes, max(w.avgSize.Load(), w.avgPage.Load()))
}

// nextPage is how many to ask for after a page of count entries.
func nextPage(count int, got reading) int {
	if got.seen == 0 {
		return count
	}
	return min(2*count, entriesIn(pageBytes, int64(got.bytes/got.seen)+entryOverhead))
}

// lessTailed makes the next read of the tail ask for fewer entries, and lessPaged
// that of history, after Redis did not answer in time: one entry in two steps or
// three, since each costs a replyTimeout.
func (w *window) lessTailed() { w.avgSize.Store(min(16*w.avgSize.Load(), tailBytes)) }
func (w *window) lessPaged() {
	w.avgPage.Store(min(16*max(w.avgSize.Load(), w.avgPage.Load()), pageBytes))
}
