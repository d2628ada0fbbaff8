package content

import (
	"github.com/sse-gateway/sse-gateway/gateway/internal/batch"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// Reader reads what a client's channels have for it. See Init.
type Reader struct {
	Channels []Channel // in the order of the sorted names
	Envelope bool      // fixed
	Gzip     bool      // fixed

	// Finished tells that the client was told the end of every channel.
	Finished bool

	one         [1]Channel
	signature   string // of the channels; "" for a single one
	page        *page  // what is left of a page of history; nil mostly
	retry       *retry // of reads of history; nil mostly
	nextChannel uint16 // the channel that Fill begins with
	behind      uint16 // the channel that Fetch is for
	stalled     bool   // the client was told that Redis is away
}

// Channel is a reader's part in one channel.
type Channel struct {
	Cursor store.Cursor
	Topic  *Topic
	Index  int32 // for the owner of the reader
	Live   bool  // it has caught up, so that its latency means something

	resume bool // it began at the client's position, and how that went is not counted yet
	ended  bool // the client was told that the channel has ended; what was sent is all there is
}

// Init makes room for the channels of the names, which are sorted. The caller then
// sets each one's Topic and Cursor.
func (r *Reader) Init(names []string) {
	if len(names) == 1 {
		r.Channels = r.one[:]
		return
	}
	r.Channels = make([]Channel, len(names))
	r.signature = sse.Signature(names)
}

// State tells what a reader needs next.
type State uint8

// The states of a reader.
const (
	Idle   State = iota // nothing until it is woken
	More                // call Fill again
	Behind              // call Fetch
)

// Fill appends what the client is to be sent next, up to about limit bytes.
func (r *Reader) Fill(b *batch.Buffer, limit int) State {
	r.appendStalled(b)
	if full := r.fillPage(b, limit); full || r.page != nil {
		return More
	}
	state := Idle
	for range r.Channels {
		i := int(r.nextChannel)
		r.nextChannel = uint16((i + 1) % len(r.Channels))
		switch r.fillChannel(b, i, limit) {
		case store.Ready:
			return More // the batch is full
		case store.Behind:
			r.behind, state = uint16(i), Behind
		}
	}
	return state
}

// fillChannel appends what the window has for one channel. It returns Ready if
// there may be more than fits.
func (r *Reader) fillChannel(b *batch.Buffer, i, limit int) store.State {
	c := &r.Channels[i]
	for b.Len() < limit {
		got, st := c.Cursor.Next(limit - b.Len())
		if st == store.Behind {
			c.Live = false
			return st
		}
		r.countResume(c, metrics.SourceWindow, got.Gap != nil)
		if st == store.UpToDate {
			c.Live = true
			r.appendEnd(b, i)
			return st
		}
		if r.stalled {
			// Redis may have come back since Fill looked, and then this is news:
			// nothing enters a window while it is stalled.
			r.appendStalled(b)
		}
		if got.Gap != nil {
			r.appendGap(b, i, *got.Gap)
		}
		for j := range got.Entries {
			// The limit, too: an id line of several channels may be longer than its event.
			if full := r.appendEntry(b, i, &got.Entries[j]); full || b.Len() >= limit {
				c.Cursor.Rewind(got.Entries[j].ID)
				return store.Ready
			}
		}
	}
	return store.Ready
}

// countResume counts how a client's resumption went, once per channel.
func (r *Reader) countResume(c *Channel, source string, gap bool) {
	if !c.resume {
		return
	}
	c.resume = false
	outcome := metrics.ResumeComplete
	if gap {
		outcome = metrics.ResumeGap
	}
	c.Topic.Metrics.Resumes.WithLabelValues(source, outcome).Inc()
}

// Idle reports whether Fill would find nothing.
func (r *Reader) Idle() bool {
	if r.page != nil {
		return false
	}
	stalled := false
	for i := range r.Channels {
		c := &r.Channels[i]
		if !c.Cursor.Idle() || c.resume || !c.Live || !c.ended && c.Cursor.Ended() {
			return false
		}
		_, is := c.Topic.Sub.Stalled()
		stalled = stalled || is
	}
	return stalled == r.stalled
}
