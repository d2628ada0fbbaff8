package content

import (
	"github.com/sse-gateway/sse-gateway/gateway/internal/batch"
	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// Topic is a channel. Its fields are fixed.
type Topic struct {
	Sub       *store.Subscription
	Metrics   *metrics.Gateway
	Namespace *metrics.Namespace // of the channel
	Blocks    *deflate.Cache     // nil: no stream is compressed

	envelopes envelopes
}

// appendEvent appends an entry behind its id line. share and the result are those of
// batch.Buffer.AppendBody.
func (t *Topic) appendEvent(b *batch.Buffer, e *store.Entry, envelope, share bool) (full bool) {
	body := sse.WithoutID(e.Frame)
	if envelope && e.Kind == store.KindEvent {
		body = t.envelopes.of(t.Sub.Channel(), e)
	}
	return b.AppendBody(body, t.Blocks, share)
}

// count counts an entry in the batch that has it.
func (t *Topic) count(b *batch.Buffer, e *store.Entry, live bool) {
	if e.Kind == store.KindEvent {
		b.Tally.Event(t.Namespace, e.ID, live)
	} else {
		b.Tally.Gap(t.Namespace, e.Kind.GapReason())
	}
}
