package content

import (
	"sync"
	"unsafe"
	"weak"

	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/store"
)

// envelopes finds the envelopes of a channel's entries that are still in memory.
// An entry is wrapped once per shard, not once per stream: an envelope may have
// six times the bytes of its frame, and thousands of clients that do not read may
// be in the middle of one.
//
// The pointers are weak. An envelope lives as long as a stream has to write it,
// and until the next collection. The other streams of the shard find it here in
// the meantime. The zero value is ready for use.
type envelopes struct {
	// mu guards the fields below. Streams that have a goroutine share them with
	// the goroutine of the shard.
	mu    sync.Mutex
	byID  map[store.ID]envelope
	sweep int // the size of byID at which dead entries are deleted
}

// envelope is a frame and the same, wrapped.
type envelope struct {
	// frame is what was wrapped. The id alone is not enough: after a reset of the
	// stream it may be another entry's.
	frame weak.Pointer[byte]
	body  weak.Pointer[byte]
	size  int // of body
}

// minSweep is the smallest size of envelopes.byID that is worth a sweep.
const minSweep = 64

// of returns the envelope of an entry, without its id line. It is shared and must
// not be changed.
func (c *envelopes) of(channel string, e *store.Entry) []byte {
	frame := weak.Make(&e.Frame[0])
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.byID[e.ID]
	if p := have.body.Value(); p != nil && have.frame == frame {
		return unsafe.Slice(p, have.size)
	}
	body := sse.AppendEnvelope(make([]byte, 0, len(e.Frame)+len(channel)+96), channel, e.ID, sse.WithoutID(e.Frame))
	c.put(e.ID, envelope{frame, weak.Make(&body[0]), len(body)})
	return body
}

func (c *envelopes) put(id store.ID, e envelope) {
	if c.byID == nil {
		c.byID = make(map[store.ID]envelope)
	}
	if len(c.byID) >= max(c.sweep, minSweep) {
		for id, old := range c.byID {
			if old.body.Value() == nil {
				delete(c.byID, id)
			}
		}
		c.sweep = 2 * len(c.byID)
	}
	c.byID[id] = e
}
