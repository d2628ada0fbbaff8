package content

import (
	"context"
	"math"
	"time"

	"github.com/sse-gateway/sse-gateway/store"
)

// StartKind is where a stream starts in a channel.
type StartKind uint8

// The places where a stream may start.
const (
	StartNow   StartKind = iota // with what is published from now on
	StartAfter                  // after an id
	StartSince                  // with the entries of a time and later
	StartLast                   // with the last entries
	StartAll                    // with the oldest entry
)

// Start is where a stream starts in a channel.
type Start struct {
	Kind  StartKind
	After store.ID  // of StartAfter
	Since time.Time // of StartSince
	Last  int       // of StartLast: how many events
}

// Cursor returns a cursor where a client starts. Errors are those of
// Subscription.Last.
func (s *Start) Cursor(ctx context.Context, sub *store.Subscription) (store.Cursor, error) {
	switch s.Kind {
	case StartAfter:
		return sub.After(s.After), nil
	case StartSince:
		return sub.Since(s.Since), nil
	case StartLast:
		return sub.Last(ctx, s.Last)
	case StartAll:
		return sub.Last(ctx, math.MaxInt)
	}
	return sub.Now(), nil
}

// Place places the cursor of a channel whose topic is set. Errors are those of
// Start.Cursor.
func (c *Channel) Place(ctx context.Context, start *Start) (err error) {
	c.resume, c.Live = start.Kind == StartAfter, start.Kind == StartNow
	c.Cursor, err = start.Cursor(ctx, c.Topic.Sub)
	return err
}
