package content

import (
	"slices"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/batch"
	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/store"
)

// Broadcast is one batch that many streams of a topic are sent.
type Broadcast struct {
	At time.Time // when streams were last counted: about now

	topic    *Topic
	from, to store.Cursor
	entries  []store.Entry
	forms    [4]struct {
		buf   *batch.Buffer // nil: nobody wanted it yet
		wires [2]*Form      // by whether the body is chunked
	} // by whether the events are in envelopes, and whether the body is compressed
}

// Form is a batch as it is written to some of the streams.
type Form struct {
	Wire []byte
	Part deflate.Part // of the batch, if it is compressed

	buf   *batch.Buffer
	count int  // streams that were sent it and are not counted yet
	kept  bool // a stream still has to write a part of Wire
}

// NextBroadcast advances a cursor over the topic, which is where most of the streams
// are, and returns what it passed; nil if there is nothing to share.
func (t *Topic) NextBroadcast(cursor *store.Cursor) *Broadcast {
	from := *cursor
	got, state := cursor.Next(batch.Max)
	_, stalled := t.Sub.Stalled()
	if state != store.Ready || got.Gap != nil || stalled {
		// A gap is told to each stream from where it is. A cursor that has fallen
		// behind the window leads nobody any more.
		if state == store.Behind {
			*cursor = t.Sub.Now()
		}
		return nil
	}
	if slices.ContainsFunc(got.Entries, func(e store.Entry) bool { return e.End }) {
		return nil // each stream is told the end from where it is, and may end
	}
	return &Broadcast{At: time.Now(), topic: t, from: from, to: *cursor, entries: got.Entries}
}

// Fits reports whether the batch is what a reader is to be sent next.
func (b *Broadcast) Fits(r *Reader) bool {
	return b != nil && r.signature == "" && !r.stalled && r.Channels[0].Cursor == b.from
}

// Form returns the batch as a reader needs it.
func (b *Broadcast) Form(r *Reader, chunked bool) *Form {
	f := &b.forms[boolIndex(r.Envelope)+2*boolIndex(r.Gzip)]
	if f.buf == nil {
		f.buf = b.encode(r.Envelope, r.Gzip)
	}
	wire := &f.wires[boolIndex(chunked)]
	if *wire == nil {
		out := f.buf.Output(chunked)
		*wire = &Form{Wire: out.Next(), Part: f.buf.Sum().Part(), buf: f.buf}
	}
	return *wire
}

func boolIndex(b bool) int {
	if b {
		return 1
	}
	return 0
}

// encode makes the batch, with the events in envelopes or not, compressed or not.
func (b *Broadcast) encode(envelope, gzip bool) *batch.Buffer {
	buf := batch.Get()
	if gzip {
		buf.BeginGzip(deflate.Sum{})
	}
	for i := range b.entries {
		e := &b.entries[i]
		b.topic.count(buf, e, true)
		if len(e.Frame) == 0 {
			continue
		}
		if !gzip && !envelope {
			buf.B = append(buf.B, e.Frame...)
			continue
		}
		buf.B = sse.AppendID(buf.B, e.ID)
		b.topic.appendEvent(buf, e, envelope, false)
	}
	return buf
}

// countEvery is after how many streams the deliveries so far are counted with the
// time of the moment.
const countEvery = 64

// Sent notes that a reader was sent a form of the batch.
func (b *Broadcast) Sent(r *Reader, f *Form) {
	r.Channels[0].Cursor = b.to
	if f.count++; f.count == countEvery {
		b.count(f)
	}
}

// count counts the streams that were sent the form.
func (b *Broadcast) count(f *Form) {
	if f.count > 0 {
		b.At = time.Now()
		f.buf.Count(b.topic.Metrics, len(f.Wire), f.count, b.At)
		f.count = 0
	}
}

// Rest returns what a stream whose socket took n bytes has to write later. It is
// shared by all of those, unless it is short.
func (f *Form) Rest(n int) batch.Output {
	rest := f.Wire[n:]
	if len(rest) <= batch.Slow {
		return batch.Plain(slices.Clone(rest))
	}
	f.kept = true
	return batch.Plain(rest)
}

// Done counts what is not counted yet, and lets go of the batch.
func (b *Broadcast) Done() {
	if b == nil {
		return
	}
	for i := range b.forms {
		kept := false
		for _, f := range b.forms[i].wires {
			if f != nil {
				b.count(f)
				kept = kept || f.kept
			}
		}
		if buf := b.forms[i].buf; buf != nil && !kept {
			buf.Put()
		}
	}
}
