package engine

import (
	"context"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// fillState tells what a stream needs next.
type fillState uint8

const (
	fillIdle   fillState = iota // nothing until it is woken
	fillMore                    // call fill again
	fillBehind                  // call fetch
)

// limit is the size of the stream's batches, in bytes.
func (s *Stream) limit() int {
	if s.slow {
		return slowBatch
	}
	return maxBatch
}

// fill appends what the client is to be sent next, up to about one batch.
func (s *Stream) fill(b []byte) ([]byte, fillState) {
	limit := s.limit()
	b = s.appendStalled(b)
	if b = s.fillPage(b, limit); s.page != nil || s.buf.large != nil {
		return b, fillMore
	}
	state := fillIdle
	for range s.channels {
		i := int(s.nextChannel)
		s.nextChannel = uint16((i + 1) % len(s.channels))
		var st store.State
		switch b, st = s.fillChannel(b, i, limit); st {
		case store.Ready:
			return b, fillMore // the batch is full
		case store.Behind:
			s.behind, state = uint16(i), fillBehind
		}
	}
	return b, state
}

// fillChannel appends what the window has for one channel. It returns Ready if
// there may be more than fits.
func (s *Stream) fillChannel(b []byte, i, limit int) ([]byte, store.State) {
	c := &s.channels[i]
	for len(b) < limit {
		batch, st := c.cursor.Next(limit - len(b))
		if st == store.Behind {
			c.live = false
			return b, st
		}
		s.countResume(c, metrics.SourceWindow, batch.Gap != nil)
		if st == store.UpToDate {
			c.live = true
			return s.appendEnd(b, i), st
		}
		if s.stalled {
			// Redis may have come back since fill looked, and then this is news:
			// nothing enters a window while it is stalled.
			b = s.appendStalled(b)
		}
		if batch.Gap != nil {
			b = s.appendGap(b, i, *batch.Gap)
		}
		for j := range batch.Entries {
			// The limit, too: an id line of several channels may be longer than its event.
			if b = s.appendEntry(b, i, &batch.Entries[j]); s.buf.large != nil || len(b) >= limit {
				c.cursor.Rewind(batch.Entries[j].ID)
				return b, store.Ready
			}
		}
	}
	return b, store.Ready
}

// fetch reads a page of history for the channel that fill found behind. It is
// called when fill has returned fillBehind; an error is temporary.
func (s *Stream) fetch(ctx context.Context) error {
	c := &s.channels[s.behind]
	batch, err := c.cursor.Fetch(ctx)
	if err != nil {
		s.nextChannel = s.behind // so that another one that is behind is next
		return err
	}
	if batch.Gap != nil || len(batch.Entries) > 0 {
		s.countResume(c, metrics.SourceHistory, batch.Gap != nil)
		s.page = &page{channel: int(s.behind), gap: batch.Gap, entries: batch.Entries}
	}
	return nil
}

// fillPage appends what is left of the page.
func (s *Stream) fillPage(b []byte, limit int) []byte {
	p := s.page
	if p == nil {
		return b
	}
	if p.gap != nil {
		b, p.gap = s.appendGap(b, p.channel, *p.gap), nil
	}
	for len(p.entries) > 0 && len(b) < limit && s.buf.large == nil {
		e := &p.entries[0]
		p.entries = p.entries[1:]
		b = s.appendEntry(b, p.channel, e)
	}
	if len(p.entries) == 0 {
		s.page = nil
	}
	return b
}

// discardPage forgets the page, which is read again later. It is not kept for a
// client that is slow.
func (s *Stream) discardPage() {
	if p := s.page; p != nil && p.gap == nil && len(p.entries) > 0 {
		s.channels[p.channel].cursor.Rewind(p.entries[0].ID.Prev())
		s.page = nil
	}
}

// countResume counts how a client's resumption went, once per channel.
func (s *Stream) countResume(c *channelState, source string, gap bool) {
	if !c.resume {
		return
	}
	c.resume = false
	outcome := metrics.ResumeComplete
	if gap {
		outcome = metrics.ResumeGap
	}
	s.shard.env.cfg.Metrics.Resumes.WithLabelValues(source, outcome).Inc()
}

// idle reports whether fill would find nothing.
func (s *Stream) idle() bool {
	if s.page != nil {
		return false
	}
	stalled := false
	for i := range s.channels {
		c := &s.channels[i]
		if !c.cursor.Idle() || c.resume || !c.live || !c.ended && c.cursor.Ended() {
			return false
		}
		_, is := c.cursor.Sub().Stalled()
		stalled = stalled || is
	}
	return stalled == s.stalled
}
