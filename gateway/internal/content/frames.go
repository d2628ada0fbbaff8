package content

import (
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/batch"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// deliveredID is the position up to which the client was sent the i-th channel.
func (r *Reader) deliveredID(i int) store.ID {
	if p := r.page; p != nil && i == p.channel && len(p.entries) > 0 {
		return p.entries[0].ID.Prev()
	}
	return r.Channels[i].Cursor.Pos()
}

// appendID appends the id line of an event of the i-th channel: the position of the
// client once it has the event.
func (r *Reader) appendID(b *batch.Buffer, i int, id store.ID) {
	if r.signature == "" {
		b.B = sse.AppendID(b.B, id)
		return
	}
	b.B = sse.AppendPosition(b.B, len(r.Channels), func(j int) store.ID {
		if j == i {
			return id
		}
		return r.deliveredID(j)
	}, r.signature)
}

// AppendReady appends the frame that tells where the stream starts.
func (r *Reader) AppendReady(b *batch.Buffer) {
	r.appendID(b, 0, r.deliveredID(0))
	b.B = sse.AppendReady(b.B, len(r.Channels), func(i int) (string, store.ID) {
		return r.Channels[i].Topic.Sub.Channel(), r.deliveredID(i)
	})
}

// AppendUnknown appends a gap for every channel of a client whose position
// could not be understood. It comes before the ready frame, and only the last one
// has an id: a client that loses the connection in between must not keep the new
// position without having heard of every gap.
func (r *Reader) AppendUnknown(b *batch.Buffer) {
	last := len(r.Channels) - 1
	for i := range r.Channels {
		at := r.deliveredID(i)
		if i == last {
			r.appendID(b, i, at)
		}
		t := r.Channels[i].Topic
		b.B = sse.AppendGap(b.B, t.Sub.Channel(), "", at, metrics.GapUnknownID)
		b.Tally.Gap(t.Namespace, metrics.GapUnknownID)
	}
}

func (r *Reader) appendGap(b *batch.Buffer, i int, gap store.Gap) {
	b.Tally.Gap(r.Channels[i].Topic.Namespace, gap.Reason)
	r.appendID(b, i, gap.Resumed)
	b.B = sse.AppendGap(b.B, gap.Channel, gap.After.String(), gap.Resumed, gap.Reason)
}

// appendEntry appends an entry of the i-th channel. It reports whether the batch is full.
func (r *Reader) appendEntry(b *batch.Buffer, i int, e *store.Entry) (full bool) {
	c := &r.Channels[i]
	c.ended = false
	if len(e.Frame) == 0 {
		return false
	}
	c.Topic.count(b, e, c.Live)
	if r.signature == "" && !r.Gzip && !(r.Envelope && e.Kind == store.KindEvent) {
		return b.AppendBody(e.Frame, nil, true)
	}
	r.appendID(b, i, e.ID)
	return c.Topic.appendEvent(b, e, r.Envelope, true)
}

// appendEnd tells the client that the i-th channel has ended, if it has and the
// client has all of it. If that is so of all channels, the reader is finished.
func (r *Reader) appendEnd(b *batch.Buffer, i int) {
	c := &r.Channels[i]
	if c.ended || !c.Cursor.Ended() {
		return
	}
	c.ended = true
	r.appendID(b, i, c.Cursor.Pos())
	b.B = sse.AppendEnd(b.B, c.Topic.Sub.Channel())
	r.Finished = true
	for j := range r.Channels {
		r.Finished = r.Finished && r.Channels[j].ended
	}
}

// appendStalled tells the client when Redis went away or came back, for any of
// its channels.
func (r *Reader) appendStalled(b *batch.Buffer) {
	var since time.Time
	stalled := false
	for i := range r.Channels {
		if at, is := r.Channels[i].Topic.Sub.Stalled(); is {
			since, stalled = at, true
			break
		}
	}
	if stalled == r.stalled {
		return
	}
	if r.stalled = stalled; stalled {
		b.B = sse.AppendStalled(b.B, since)
	} else {
		b.B = sse.AppendLive(b.B, time.Now())
	}
}
