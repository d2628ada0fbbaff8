package content

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/batch"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

const (
	// FetchTimeout bounds how long a stream waits for history before it looks
	// after its other channels and its heartbeat. The read itself goes on, and
	// whoever asks again soon gets its page.
	FetchTimeout = time.Second
	// fetchRetry is about how long a stream waits after history failed, and
	// staleRetry how long at first if what there was is older than the window.
	fetchRetry = 500 * time.Millisecond
	staleRetry = 10 * time.Millisecond
)

// page is what is left to be sent of a page of history.
type page struct {
	channel int
	gap     *store.Gap
	entries []store.Entry
}

// retry is when history that could not be read is read again.
type retry struct {
	pause time.Duration // 0: the last read succeeded
	at    time.Time     // when the last pause is over
}

// RetryAt returns when history that could not be read may be read again. Zero: it can
// be read at once.
func (r *Reader) RetryAt() time.Time {
	if r.retry == nil || r.retry.pause == 0 {
		return time.Time{}
	}
	return r.retry.at
}

// Fetch reads a page of history for the channel that Fill found behind, unless that
// failed a moment ago: not with every event of another channel, either. It blocks for
// FetchTimeout at most, and not beyond by. It is called when Fill has returned Behind,
// and reports whether the page was read.
func (r *Reader) Fetch(ctx context.Context, by time.Time) bool {
	now := time.Now()
	if now.Before(r.RetryAt()) {
		return false
	}
	if limit := now.Add(FetchTimeout); by.IsZero() || limit.Before(by) {
		by = limit
	}
	ctx, cancel := context.WithDeadline(ctx, by)
	defer cancel()
	// The next page is of a channel that did not fail a moment ago.
	calm := r.retry == nil || now.Sub(r.retry.at) > FetchTimeout
	err := r.fetch(ctx, calm)
	switch {
	case err == nil && calm:
		r.retry = nil
		return true
	case err == nil:
		r.retry.pause = 0
		return true
	case r.retry == nil:
		r.retry = &retry{}
	}
	if errors.Is(err, store.ErrStale) {
		r.retry.pause = min(max(2*r.retry.pause, staleRetry), fetchRetry)
	} else {
		r.retry.pause = fetchRetry/2 + rand.N(fetchRetry)
	}
	r.retry.at = time.Now().Add(r.retry.pause)
	return false
}

// fetch reads the page. An error is temporary. After an error, and if rotate is set, the
// next page is of another channel that is behind, if there is one.
func (r *Reader) fetch(ctx context.Context, rotate bool) error {
	c := &r.Channels[r.behind]
	got, err := c.Cursor.Fetch(ctx)
	if rotate || err != nil {
		r.nextChannel = r.behind
	}
	if err == nil && (got.Gap != nil || len(got.Entries) > 0) {
		r.countResume(c, metrics.SourceHistory, got.Gap != nil)
		r.page = &page{channel: int(r.behind), gap: got.Gap, entries: got.Entries}
	}
	return err
}

// fillPage appends what is left of the page. It reports whether the batch is full.
func (r *Reader) fillPage(b *batch.Buffer, limit int) (full bool) {
	p := r.page
	if p == nil {
		return false
	}
	if p.gap != nil {
		r.appendGap(b, p.channel, *p.gap)
		p.gap = nil
	}
	for len(p.entries) > 0 && b.Len() < limit && !full {
		e := &p.entries[0]
		p.entries = p.entries[1:]
		full = r.appendEntry(b, p.channel, e)
	}
	if len(p.entries) == 0 {
		r.page = nil
	}
	return full
}

// DiscardPage forgets the page, which is read again later. It is not kept for a
// client that is slow.
func (r *Reader) DiscardPage() {
	if p := r.page; p != nil && p.gap == nil && len(p.entries) > 0 {
		r.Channels[p.channel].Cursor.Rewind(p.entries[0].ID.Prev())
		r.page = nil
	}
}
