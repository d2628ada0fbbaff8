package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/internal/engine"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// Polling is for networks that break streams: one page of what a stream would
// bring, as JSON, by the same cursors.

const (
	// maxPageBytes is about how much of frames one page holds; at least one event.
	maxPageBytes = 256 << 10
	// staleRetry is how long a poll waits before it reads a page of history again
	// that was older than the window.
	staleRetry = 10 * time.Millisecond
)

// page is the answer to a poll.
type page struct {
	Events   []json.RawMessage `json:"events"` // as envelopes
	Gaps     []json.RawMessage `json:"gaps"`   // as the data of gateway.gap
	Ended    []string          `json:"ended"`
	Position string            `json:"position"`
	More     bool              `json:"more"`

	size int // bytes of frames
}

// poller is one poll: cursors over its channels. It is the store.Waker of its
// subscriptions, and the revocation.Stream of its grant.
type poller struct {
	req     *request
	cursors []store.Cursor // one per channel that is subscribed
	page    page
	counts  []pollCount // one for each event and gap of the page

	woken   chan struct{} // capacity 1: there may be something new
	revoke  sync.Once
	revoked chan struct{} // closed when the grant was withdrawn
}

// pollCount is an event or a gap that is counted once the page is complete.
type pollCount struct {
	channel string
	gap     string // its reason; "" for an event
}

// count counts what the page has.
func (p *poller) count(m *metrics.Gateway) {
	for _, c := range p.counts {
		if of := m.Namespaces.Of(c.channel); c.gap != "" {
			of.Gaps.WithLabelValues(c.gap).Inc()
		} else {
			of.Deliveries.Inc()
		}
	}
}

// Wake implements store.Waker.
func (p *poller) Wake(bool) {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// Revoke implements revocation.Stream.
func (p *poller) Revoke() { p.revoke.Do(func() { close(p.revoked) }) }

// poll answers a request with a page, within a slot. An error is a *problem, and
// nothing was written then.
func (g *Gateway) poll(slot *slot, w http.ResponseWriter, r *http.Request, req *request) error {
	defer slot.Release()
	grant, err := g.cfg.Access.Authorize(r, req.channels)
	if err != nil {
		return accessProblem(err)
	}
	p := &poller{req: req, woken: make(chan struct{}, 1), revoked: make(chan struct{})}
	p.page = page{Events: []json.RawMessage{}, Gaps: []json.RawMessage{}, Ended: []string{}}
	if slot.watch, err = g.watch(p, grant); err != nil {
		return err
	}
	defer p.close()
	if err := p.open(r.Context(), g.cfg.Store); err != nil {
		return storeProblem(err)
	}
	if err := g.fillPage(r.Context(), p, grant); err != nil {
		return err
	}
	p.count(g.metrics)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	var body []byte
	if body, err = json.Marshal(p.page); err != nil {
		return err // it cannot be: all of it is JSON
	}
	body = append(body, '\n')
	if g.gzips(r) {
		w.Header().Set("Content-Encoding", "gzip")
		plain := len(body)
		body = gzipPage(body, p.page.Events)
		g.metrics.GzipPlainBytes.Add(float64(plain))
		g.metrics.GzipBytes.Add(float64(len(body)))
	}
	_, _ = w.Write(body) // the client may have gone
	return nil
}

// fillPage collects what there is, and waits for the first of it as long as the
// client wants, may, and is there.
func (g *Gateway) fillPage(ctx context.Context, p *poller, grant access.Grant) error {
	wait := p.req.wait
	if end := grant.End(time.Now()); !end.IsZero() {
		wait = min(wait, time.Until(end))
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	ended := -1 // how many channels had ended at first
	for waiting := wait > 0; ; {
		if err := p.collect(ctx); err != nil && len(p.page.Events)+len(p.page.Gaps) == 0 {
			return storeProblem(err)
		}
		if ended < 0 {
			ended = len(p.page.Ended)
		}
		news := len(p.page.Events)+len(p.page.Gaps) > 0 || len(p.page.Ended) > ended
		if !waiting || news || p.page.More || ended == len(p.cursors) {
			p.page.Position = p.position()
			return nil
		}
		select {
		case <-p.woken:
		case <-timeout.C:
			waiting = false
		case <-g.stopping: // the client goes on at another replica
			waiting = false
		case <-p.revoked:
			return revokedProblem()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// open subscribes to the channels and places the cursors. The error is an
// *engine.ChannelError.
func (p *poller) open(ctx context.Context, st engine.Store) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	for i, channel := range p.req.channels {
		sub, err := st.Subscribe(ctx, channel, p)
		if err != nil {
			return &engine.ChannelError{Channel: channel, Err: err}
		}
		cursor, err := p.req.starts[i].Cursor(ctx, sub)
		if err != nil {
			sub.Close()
			return &engine.ChannelError{Channel: channel, Err: err}
		}
		cursor.Newest = p.req.newest
		p.cursors = append(p.cursors, cursor)
		if p.req.unknown {
			p.addGap(channel, sse.AppendGap(nil, channel, "", cursor.Pos(), metrics.GapUnknownID), metrics.GapUnknownID)
		}
	}
	return nil
}

func (p *poller) close() {
	for i := range p.cursors {
		p.cursors[i].Sub().Close()
	}
}

// collect moves into the page what follows the cursors, as far as it has room. An
// error is the store's, and may pass.
func (p *poller) collect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	p.page.Ended, p.page.More = p.page.Ended[:0], false
	for i := range p.cursors {
		c := &p.cursors[i]
		for p.room() {
			batch, state := c.Next(maxPageBytes)
			if state == store.UpToDate {
				break
			}
			if state == store.Behind {
				var err error
				if batch, err = c.Fetch(ctx); errors.Is(err, store.ErrStale) {
					time.Sleep(staleRetry) // the tail is about to see it
					err = ctx.Err()
				}
				if err != nil {
					p.page.More = true
					return err
				}
			}
			p.take(c, batch)
		}
		switch {
		case c.Ended():
			p.page.Ended = append(p.page.Ended, c.Sub().Channel())
		case !p.room() && !c.Idle():
			p.page.More = true
		}
	}
	return nil
}

// room reports whether the page may have another event.
func (p *poller) room() bool { return len(p.page.Events) < p.req.limit && p.page.size < maxPageBytes }

// take adds a batch to the page, and moves the cursor back to before what has no
// room.
func (p *poller) take(c *store.Cursor, batch store.Batch) {
	if gap := batch.Gap; gap != nil {
		p.addGap(gap.Channel, sse.AppendGap(nil, gap.Channel, gap.After.String(), gap.Resumed, gap.Reason), gap.Reason)
	}
	for i := range batch.Entries {
		e := &batch.Entries[i]
		if !p.room() {
			c.Rewind(e.ID.Prev())
			return
		}
		switch body := sse.WithoutID(e.Frame); {
		case len(e.Frame) == 0: // nothing but the end of the channel
		case e.Kind != store.KindEvent:
			p.addGap(c.Sub().Channel(), body, e.Kind.GapReason())
		default:
			p.page.Events = append(p.page.Events, dataOf(sse.AppendEnvelope(nil, c.Sub().Channel(), e.ID, body)))
			p.page.size += len(e.Frame)
			p.counts = append(p.counts, pollCount{channel: c.Sub().Channel()})
		}
	}
}

// addGap adds the body of a gap event of a channel.
func (p *poller) addGap(channel string, body []byte, reason string) {
	p.page.Gaps = append(p.page.Gaps, dataOf(body))
	p.counts = append(p.counts, pollCount{channel, reason})
}

// dataOf returns the data of a frame that has one line of it.
func dataOf(body []byte) json.RawMessage {
	_, data, _ := bytes.Cut(body, []byte("data: "))
	return bytes.TrimRight(data, "\n")
}

// position is where the client is when it has the page.
func (p *poller) position() string {
	if len(p.cursors) == 1 {
		return p.cursors[0].Pos().String()
	}
	line := sse.AppendPosition(nil, len(p.cursors), func(i int) store.ID { return p.cursors[i].Pos() }, sse.Signature(p.req.channels))
	return strings.TrimSpace(strings.TrimPrefix(string(line), "id: "))
}
