package redisstream

import "sync/atomic"

// How many entries to ask for at once: as many as make about a page, by the size
// of those that were seen before. What is larger than expected lowers the number
// at once; what is smaller raises it step by step. So what is read for nothing
// remains in proportion to what is read for good.

const (
	// PageBytes is about how much one read asks for: of the tail of a stream,
	// or of a page of history. A stream that has more stays in the queue.
	PageBytes = 128 << 10
	// pageEntries is the most entries that one read asks for: Redis serves
	// nobody else meanwhile.
	pageEntries = 512
	// entryOverhead is what an entry is taken to cost besides its names and
	// values, in bytes.
	entryOverhead = 96
	// replyBytes is about how much of one reply is kept: twice what was asked
	// for, so that a guess that is a little wrong loses nothing.
	replyBytes = 2 * PageBytes
)

// SizeEstimate is a running average of the size of a stream's entries, in
// bytes, which rises at once and sinks slowly. Its methods may be called
// concurrently. The zero SizeEstimate knows nothing.
type SizeEstimate struct{ bytes atomic.Int64 }

// Observe takes in entries of a reply, of so many bytes together.
func (e *SizeEstimate) Observe(entries, bytes int) {
	if entries > 0 {
		e.bytes.Store(max(int64(bytes/entries)+entryOverhead, e.bytes.Load()*3/4))
	}
}

// Enlarge makes the next read ask for fewer entries, after Redis did not answer
// in time: one entry in two or three steps, since each costs a time-out. least
// is taken for the estimate if that is smaller.
func (e *SizeEstimate) Enlarge(least int64) {
	e.bytes.Store(min(16*max(e.bytes.Load(), least), PageBytes))
}

// Bytes returns the estimate.
func (e *SizeEstimate) Bytes() int64 { return e.bytes.Load() }

// PageEntries returns how many entries of an average size make a page.
func PageEntries(size int64) int { return int(min(max(PageBytes/max(size, 1), 1), pageEntries)) }

// NextPage returns how many entries to ask for after a page of count, in which
// there were so many entries of so many bytes.
func NextPage(count, entries, bytes int) int {
	if entries == 0 {
		return count
	}
	return min(2*count, PageEntries(int64(bytes/entries)+entryOverhead))
}
