package engine

import (
	"slices"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/store"
)

// broadcast is one batch that many streams of a topic are sent: those that stood at
// the topic's broadcastCursor. The window is read once for all of them, and each
// form of the batch is made once, when the first stream wants it.
type broadcast struct {
	topic    *topic
	from, to store.Cursor
	entries  []store.Entry
	counted  time.Time // when streams were last counted: about now
	forms    [4]struct {
		buf   *buffer  // nil: nobody wanted it yet
		wires [2]*form // by whether the body is chunked
	} // by whether the events are in envelopes, and whether the body is compressed
}

// form is a batch as it is written to some of the streams.
type form struct {
	buf   *buffer
	wire  []byte
	part  deflate.Part // of the batch, if it is compressed
	count int          // streams that were sent it and are not counted yet
	kept  bool         // a stream still has to write a part of wire
}

// nextBroadcast advances the topic's broadcastCursor and returns what it passed; nil
// if there is nothing to share.
func (t *topic) nextBroadcast() *broadcast {
	from := t.broadcastCursor
	got, state := t.broadcastCursor.Next(maxBatch)
	_, stalled := t.sub.Stalled()
	if state != store.Ready || got.Gap != nil || stalled {
		// A gap is told to each stream from where it is. A cursor that has fallen
		// behind the window leads nobody any more.
		if state == store.Behind {
			t.broadcastCursor = t.sub.Now()
		}
		return nil
	}
	if slices.ContainsFunc(got.Entries, func(e store.Entry) bool { return e.End }) {
		return nil // each stream is told the end from where it is, and may end
	}
	return &broadcast{topic: t, from: from, to: t.broadcastCursor, entries: got.Entries, counted: time.Now()}
}

// matches reports whether the batch is what a parked stream is to be sent next.
func (b *broadcast) matches(s *Stream) bool {
	return b != nil && s.signature == "" && !s.stalled && s.channels[0].cursor == b.from && s.endReason(b.counted) == ""
}

// form returns the batch as the stream needs it.
func (b *broadcast) form(s *Stream) *form {
	f := &b.forms[boolIndex(s.envelope)+2*boolIndex(s.gzip)]
	if f.buf == nil {
		f.buf = b.encode(s.envelope, s.gzip)
	}
	wire := &f.wires[boolIndex(s.chunked)]
	if *wire == nil {
		*wire = &form{buf: f.buf, wire: f.buf.output(s.chunked).own}
		(*wire).part = f.buf.sum.Part()
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
func (b *broadcast) encode(envelope, gzip bool) *buffer {
	buf := getBuffer()
	if gzip {
		buf.beginGzip(deflate.Sum{})
	}
	counts := buf.tally(b.topic.namespace)
	for i := range b.entries {
		e := &b.entries[i]
		isEvent := e.Kind == store.KindEvent
		if isEvent {
			counts.event(e.ID, true)
		} else {
			counts.gap(e.Kind.GapReason())
		}
		if !gzip && !(envelope && isEvent) || len(e.Frame) == 0 {
			buf.b = append(buf.b, e.Frame...)
			continue
		}
		body := sse.WithoutID(e.Frame)
		if envelope && isEvent {
			body = b.topic.envelopes.of(b.topic.sub.Channel(), e)
		}
		buf.b = sse.AppendID(buf.b, e.ID)
		if gzip {
			if block := b.topic.shard.env.blocks.Block(body); len(block.Data) > 0 {
				buf.appendBlock(block, false)
				continue
			}
		}
		buf.b = append(buf.b, body...)
	}
	return buf
}

// countEvery is after how many streams the deliveries so far are counted with the
// time of the moment.
const countEvery = 64

// sent notes that a stream was sent a form of the batch.
func (b *broadcast) sent(s *Stream, f *form) {
	s.channels[0].cursor = b.to
	if s.gzip {
		s.sum = s.sum.Join(f.part)
	}
	if f.count++; f.count == countEvery {
		b.count(f)
	}
}

// count counts the streams that were sent the form.
func (b *broadcast) count(f *form) {
	if f.count > 0 {
		b.counted = time.Now()
		f.buf.count(b.topic.shard.env.cfg.Metrics, len(f.wire), f.count, b.counted)
		f.count = 0
	}
}

// rest returns what a stream whose socket took n bytes has to write later. It is
// shared by all of those, unless it is short.
func (f *form) rest(n int) *output {
	left := f.wire[n:]
	if len(left) <= slowBatch {
		return &output{own: slices.Clone(left)}
	}
	f.kept = true
	return &output{own: left}
}

// done counts what is not counted yet, and lets go of the batch.
func (b *broadcast) done() {
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
			putBuffer(buf)
		}
	}
}
