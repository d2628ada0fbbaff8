package eventlog

import (
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// Kind tells what an Entry stands for.
type Kind uint8

// The kinds of Entry.
const (
	KindEvent    Kind = iota // an entry of the stream
	KindTooLarge             // a gap in place of an entry over the size limit
	KindTrimmed              // a gap in place of entries that were trimmed before the log had them
)

// GapReason returns the reason label of a gap, and "" for an event.
func (k Kind) GapReason() string {
	return [...]string{KindEvent: "", KindTooLarge: metrics.GapTooLarge, KindTrimmed: metrics.GapTrimmed}[k]
}

// Entry is a stream entry in the form that subscribers receive. All
// subscribers share it, so it must not be changed.
type Entry struct {
	ID    redisstream.ID
	Frame []byte // the encoded event or gap; empty: nothing is sent for it
	Kind  Kind
	End   bool // the channel ends with it, unless later entries follow; see Log.Ended

	NameDropped bool // the encoder left out the publisher's event name
}

// entryOverhead is what an Entry costs besides the bytes of its frame: the
// struct in the log's array, at the array's average fill, and the allocator's
// rounding. In bytes.
const entryOverhead = 96

func (e *Entry) size() int { return len(e.Frame) + entryOverhead }

// sizeOf returns the memory of entries, in bytes.
func sizeOf(entries []Entry) (bytes int) {
	for i := range entries {
		bytes += entries[i].size()
	}
	return bytes
}

// CountRead counts entries that were read and are used, and the event names that
// they lost. source is a label of package metrics.
func CountRead(m *metrics.Store, source string, entries []Entry) {
	events, dropped := 0, 0
	for i := range entries {
		if entries[i].Kind != KindTrimmed {
			events++
		}
		if entries[i].NameDropped {
			dropped++
		}
	}
	m.EventsRead.WithLabelValues(source).Add(float64(events))
	m.EventNamesDropped.Add(float64(dropped))
}

// mayFollow reports whether the stream may have had an entry at pos, given that
// e is the first entry that the log has.
func (e *Entry) mayFollow(pos redisstream.ID) bool {
	return e.Kind == KindTrimmed || !pos.Next().Less(e.ID)
}

// Gap says that events after one position cannot be delivered, and where
// delivery goes on.
type Gap struct {
	Channel string
	After   redisstream.ID // the last position before the gap
	Resumed redisstream.ID // delivery goes on after this position
	Reason  string         // a label of package metrics: metrics.GapReset, …
}
