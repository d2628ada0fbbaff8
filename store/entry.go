package store

import "github.com/sse-gateway/sse-gateway/metrics"

// Kind tells what an Entry of a window stands for.
type Kind uint8

// The kinds of Entry.
const (
	KindEvent    Kind = iota // an entry of the stream
	KindTooLarge             // a gap in place of an entry over the size limit
	KindTrimmed              // a gap in place of entries that were trimmed before the tail read them
)

// GapReason returns the reason label of a gap, and "" for an event.
func (k Kind) GapReason() string {
	switch k {
	case KindTooLarge:
		return metrics.GapTooLarge
	case KindTrimmed:
		return metrics.GapTrimmed
	}
	return ""
}

// Entry is a stream entry as subscribers get it. It is immutable and shared by
// all of them.
type Entry struct {
	ID    ID
	Frame []byte // what Encoder made of it; empty: nothing is sent for it
	Kind  Kind
	End   bool // the channel ends with it, unless later entries follow; see Cursor.Ended

	nameDropped bool // Encoder left out the publisher's event name
}

// entryOverhead is what an Entry costs besides the bytes of its frame: the
// struct in the window's array, at its average fill, and the allocator's
// rounding. In bytes.
const entryOverhead = 96

func (e *Entry) size() int { return len(e.Frame) + entryOverhead }

// Gap says that events after one position cannot be delivered, and where the
// stream goes on.
type Gap struct {
	Channel string
	After   ID // the last position before the gap
	Resumed ID // delivery goes on after this position
	Reason  string
}

// Encoded is what an Encoder makes of an entry.
type Encoded struct {
	Frame       []byte // as Entry.Frame
	NameDropped bool   // the publisher's event name was not one that may be sent
	End         bool   // as Entry.End
}

// Encoder turns entries into the bytes that subscribers are sent. Its methods
// are called from several goroutines at once, once per entry and replica for
// what is delivered, and once more for the newest entry of a stream when its
// channel is opened. What they return is kept and shared, and must not alias
// their arguments.
type Encoder interface {
	// EncodeEntry encodes an entry; fields alternate names and values, in the
	// order of the stream.
	EncodeEntry(channel string, id ID, fields [][]byte) Encoded
	// EncodeGap encodes a gap that is the same for every subscriber.
	EncodeGap(gap Gap) []byte
}
