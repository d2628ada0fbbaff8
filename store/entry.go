package store

import (
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
)

// The values that a subscriber sees; see the packages that they come from.
type (
	ID    = redisstream.ID
	Entry = eventlog.Entry
	Kind  = eventlog.Kind
	Gap   = eventlog.Gap
	Batch = eventlog.Batch
	State = eventlog.State
)

// The kinds of Entry, and the states of a cursor after Next.
const (
	KindEvent    = eventlog.KindEvent
	KindTooLarge = eventlog.KindTooLarge
	KindTrimmed  = eventlog.KindTrimmed

	UpToDate = eventlog.UpToDate
	Ready    = eventlog.Ready
	Behind   = eventlog.Behind
)

// MaxID is the greatest id that a stream can hold.
var MaxID = redisstream.MaxID

// ParseID reads the canonical text of an id.
func ParseID(s string) (ID, error) { return redisstream.ParseID(s) }

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

// encode makes an entry of the log of an entry of the stream.
func (s *Store) encode(channel string, e redisstream.Entry) Entry {
	if e.TooLarge {
		gap := Gap{Channel: channel, After: e.ID.Prev(), Resumed: e.ID, Reason: metrics.GapTooLarge}
		return Entry{ID: e.ID, Frame: s.cfg.Encoder.EncodeGap(gap), Kind: KindTooLarge}
	}
	enc := s.cfg.Encoder.EncodeEntry(channel, e.ID, e.Fields)
	return Entry{ID: e.ID, Frame: enc.Frame, End: enc.End, NameDropped: enc.NameDropped}
}
