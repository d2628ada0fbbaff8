package gateway

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/gateway/revocation"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

const (
	// maxBatch is how much a stream takes from its cursors for one write, in
	// bytes: enough to make the system call cheap.
	maxBatch = 64 << 10
	// slowBatch is the same for a client that takes its time, so that what
	// waits to be written to thousands of those is small.
	slowBatch = 4 << 10
	// largeFrame is from what size on an event is not copied for each stream that
	// is sent it, in bytes: thousands of clients that do not read may have one.
	largeFrame = 16 << 10
)

// driver is the goroutine that has taken a stream out of its shard. Its methods
// may be called by any goroutine and do not block.
type driver interface {
	wake()  // there may be something new
	hurry() // stream.ending was set: do not wait for the client much longer
}

// stream is what one client is sent: cursors over its channels, turned into
// event-stream frames. At any time it has one owner: the goroutine that drives
// it, or, while it is parked, the goroutine of its shard. Methods that do not
// say otherwise are called by the owner.
type stream struct {
	g     *Gateway
	shard *shard

	// Fixed once the stream is open.
	channels []channelState // in the order of the sorted names
	one      [1]channelState
	names    string            // signature of the channels; "" for a single one
	watch    *revocation.Watch // nil: nothing can revoke its grant
	grantEnd int64             // when it has to end because the grant does, by the wall clock, in Unix nanoseconds; 0: never
	held     held
	envelope bool
	taken    bool   // the connection was taken over from net/http
	oldAt    uint32 // when it has the maximum age, in ticks of the wheel since epoch; 0: never

	// Owned by the owner.
	stalled bool   // the client was told that Redis is away
	slow    bool   // the last write had to wait for the client
	turn    uint16 // the channel that fill begins with
	behind  uint16 // the channel that fetch is for
	page    *page  // what is left of a read of history; nil mostly
	large   []byte // what is left of a large frame, shared, to be written after the batch
	out     *batch // what is being written; nil while there is nothing
	parked  parked

	driver atomic.Pointer[driver] // nil while parked or not yet driven
	ending atomic.Pointer[string] // why the stream is to end
}

// channelState is a stream's part in one channel.
type channelState struct {
	cursor store.Cursor
	topic  *topic
	place  int32 // in topic.streams; guarded by shard.mu
	live   bool  // it has caught up, so that its latency means something
	resume bool  // it began at the client's position, and how that went is not counted yet
}

// page is what is left to be sent of a read of history.
type page struct {
	of      int // the channel
	gap     *store.Gap
	entries []store.Entry
}

// wake has the driver look for something new. Any goroutine may call it.
func (s *stream) wake() {
	if d := s.driver.Load(); d != nil {
		(*d).wake()
	}
}

// end has the owner end the stream, after the event that it is writing. The
// first reason counts. Any goroutine may call it.
func (s *stream) end(reason string) {
	if !s.ending.CompareAndSwap(nil, &reason) {
		return
	}
	if d := s.driver.Load(); d != nil {
		(*d).hurry()
	}
	s.shard.post(s) // in case it is parked, or about to be
}

// ended returns why the stream has to end now, and "" if it has not.
func (s *stream) ended(now time.Time) string {
	if r := s.ending.Load(); r != nil {
		return *r
	}
	return s.outlived(now)
}

// outlived returns why the stream has to end at a time by itself.
func (s *stream) outlived(at time.Time) string {
	switch {
	case s.grantEnd != 0 && at.UnixNano() >= s.grantEnd:
		return metrics.EndExpired
	case s.oldAt != 0 && reactor.Nanos(at) >= s.oldest():
		return metrics.EndMaxAge
	}
	return ""
}

// endsAt returns when the stream has to end by itself, as the clocks tell now;
// zero if never.
func (s *stream) endsAt(now time.Time) time.Time {
	if s.grantEnd == 0 && s.oldAt == 0 {
		return time.Time{}
	}
	left := int64(math.MaxInt64)
	if s.grantEnd != 0 {
		left = s.grantEnd - now.UnixNano()
	}
	if s.oldAt != 0 {
		left = min(left, s.oldest()-reactor.Nanos(now))
	}
	return now.Add(time.Duration(left))
}

// oldest is when the stream has the maximum age, by the monotonic clock.
func (s *stream) oldest() int64 { return int64(s.oldAt) * int64(reactor.Tick) }

// reasonNow returns why a stream that is over is: it had to end, or its client
// has gone.
func (s *stream) reasonNow() string {
	if reason := s.ended(time.Now()); reason != "" {
		return reason
	}
	return metrics.EndClient
}

// close lets go of the channels.
func (s *stream) close() {
	for i := range s.channels {
		if s.channels[i].topic != nil {
			s.shard.leave(&s.channels[i])
		}
	}
}

// fillState tells what a stream needs next.
type fillState uint8

const (
	fillIdle   fillState = iota // nothing until it is woken
	fillMore                    // call fill again
	fillBehind                  // call fetch
)

// limit is the size of the stream's batches, in bytes.
func (s *stream) limit() int {
	if s.slow {
		return slowBatch
	}
	return maxBatch
}

// fill appends what the client is to be sent next, up to about one batch.
func (s *stream) fill(b []byte) ([]byte, fillState) {
	limit := s.limit()
	b = s.appendStalled(b)
	if b = s.fillPage(b, limit); s.page != nil || s.large != nil {
		return b, fillMore
	}
	state := fillIdle
	for range s.channels {
		i := int(s.turn)
		s.turn = uint16((i + 1) % len(s.channels))
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
func (s *stream) fillChannel(b []byte, i, limit int) ([]byte, store.State) {
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
			return b, st
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
			if b = s.appendEntry(b, i, &batch.Entries[j]); s.large != nil || len(b) >= limit {
				c.cursor.Rewind(batch.Entries[j].ID)
				return b, store.Ready
			}
		}
	}
	return b, store.Ready
}

// fetch reads a page of history for the channel that fill found behind. It is
// called when fill has returned fillBehind; an error is passing.
func (s *stream) fetch(ctx context.Context) error {
	c := &s.channels[s.behind]
	batch, err := c.cursor.Fetch(ctx)
	if err != nil {
		s.turn = s.behind // so that another one that is behind is next
		return err
	}
	if batch.Gap != nil || len(batch.Entries) > 0 {
		s.countResume(c, metrics.SourceHistory, batch.Gap != nil)
		s.page = &page{of: int(s.behind), gap: batch.Gap, entries: batch.Entries}
	}
	return nil
}

// fillPage appends what is left of the page.
func (s *stream) fillPage(b []byte, limit int) []byte {
	p := s.page
	if p == nil {
		return b
	}
	if p.gap != nil {
		b, p.gap = s.appendGap(b, p.of, *p.gap), nil
	}
	for len(p.entries) > 0 && len(b) < limit && s.large == nil {
		e := &p.entries[0]
		p.entries = p.entries[1:]
		b = s.appendEntry(b, p.of, e)
	}
	if len(p.entries) == 0 {
		s.page = nil
	}
	return b
}

// dropPage forgets the page, to be read again later: it is not kept for a
// client that takes its time.
func (s *stream) dropPage() {
	if p := s.page; p != nil && p.gap == nil && len(p.entries) > 0 {
		s.channels[p.of].cursor.Rewind(p.entries[0].ID.Prev())
		s.page = nil
	}
}

// delivered is the position up to which the client was sent a channel.
func (s *stream) delivered(i int) store.ID {
	if p := s.page; p != nil && i == p.of && len(p.entries) > 0 {
		return p.entries[0].ID.Prev()
	}
	return s.channels[i].cursor.Pos()
}

// countResume counts how a client's resumption went, once per channel.
func (s *stream) countResume(c *channelState, source string, gap bool) {
	if !c.resume {
		return
	}
	c.resume = false
	outcome := metrics.ResumeComplete
	if gap {
		outcome = metrics.ResumeGap
	}
	s.g.metrics.Resumes.WithLabelValues(source, outcome).Inc()
}

// idle reports whether fill would find nothing.
func (s *stream) idle() bool {
	if s.page != nil {
		return false
	}
	stalled := false
	for i := range s.channels {
		c := &s.channels[i]
		if !c.cursor.Idle() || c.resume || !c.live {
			return false
		}
		_, is := c.cursor.Sub().Stalled()
		stalled = stalled || is
	}
	return stalled == s.stalled
}
