package store

import (
	"context"
	"errors"
	"time"

	"github.com/sse-gateway/sse-gateway/store/eventlog"
)

// Cursor is a position in a channel: what comes after it has yet to be
// delivered. It is a small value that its owner keeps; it must not be used by
// several goroutines at once, nor after its Subscription was closed.
type Cursor struct {
	sub *Subscription
	eventlog.Cursor
}

// Sub returns the subscription that the cursor belongs to.
func (c *Cursor) Sub() *Subscription { return c.sub }

// Ended reports whether the channel has ended, as far as the replica knows, and
// the cursor has passed its end; see eventlog.Log.Ended.
func (c *Cursor) Ended() bool { return c.sub.log.Ended(&c.Cursor) }

// endRecheck is how often ConfirmEnd looks whether the tail has read what Redis has.
const endRecheck = 5 * time.Millisecond

// ConfirmEnd is Ended for a decision that cannot be taken back: the tail may be
// behind a publisher who has reopened the channel. If it returns true, Redis had no
// entry after the end at some time after the call began. That costs no read where
// Redis announces changes; see tail.Source.Settled. Otherwise it costs a small read,
// which all who ask at once share. If Redis has a later entry, ConfirmEnd waits until
// the tail has read it. Errors are those of Subscribe.
func (c *Cursor) ConfirmEnd(ctx context.Context) (bool, error) {
	if c.sub.ch.source.Settled(ctx) {
		return c.Ended(), nil
	}
	for asked := time.Now(); c.Ended(); {
		state, err := c.sub.state(ctx)
		switch {
		case err != nil:
			return false, err
		case state.at.Before(asked): // somebody else's read: too early to prove anything
			continue
		case !c.Pos().Less(state.Last):
			return true, nil
		}
		c.sub.ch.source.Recheck()
		select {
		case <-time.After(endRecheck):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return false, nil
}

// Next returns what the log holds after the position, up to about maxBytes of it
// but at least one entry, and moves past it. It never blocks.
func (c *Cursor) Next(maxBytes int) (Batch, State) { return c.sub.log.Next(&c.Cursor, maxBytes) }

// Idle reports whether Next would find nothing, at the cost of a few loads.
func (c *Cursor) Idle() bool { return c.sub.log.Idle(&c.Cursor) }

// Fetch reads one page of the stream after the position from Redis and moves
// past it. It is for a cursor that is Behind, and blocks until the page was
// read, ctx ends or Redis fails. On an error the position is unchanged and Fetch
// may be called again: after an ErrStale soon, else after a while. An empty
// batch without an error means: call Next.
func (c *Cursor) Fetch(ctx context.Context) (Batch, error) {
	log, s := c.sub.log, c.sub.store
	if c.Newest {
		before, err := s.seekBack(ctx, c.sub.ch, 1)
		if err != nil {
			return Batch{}, err
		}
		log.Skip(&c.Cursor, before)
	}
	p, err := s.readPage(ctx, c.sub.ch, &c.Cursor)
	if errors.Is(err, errNowCached) {
		return Batch{}, nil
	}
	if err != nil {
		c.Hint = 0
		return Batch{}, err
	}
	b, stale := log.Place(&c.Cursor, p)
	if stale {
		// The tail compares the two streams. Until it has, nothing is certain.
		c.sub.ch.source.Recheck()
		return Batch{}, ErrStale
	}
	return b, nil
}
