package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/sse-gateway/sse-gateway/gateway/internal/content"
	"github.com/sse-gateway/sse-gateway/store"
)

// crowdStore answers nobody before maxOpening callers of Subscribe are there at once.
type crowdStore struct {
	Store
	inside atomic.Int32
	full   chan struct{}
}

func (s *crowdStore) Subscribe(ctx context.Context, channel string, w store.Waker) (*store.Subscription, error) {
	if s.inside.Add(1) == maxOpening {
		close(s.full)
	}
	select {
	case <-s.full:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return s.Store.Subscribe(ctx, channel, w)
}

// A client of many channels that are new to the replica does not wait for Redis once for
// each of them.
func TestNewChannelsAreOpenedSideBySide(t *testing.T) {
	f := newFeed(t)
	e := f.engine()
	e.env.cfg.Store = &crowdStore{Store: f.Store, full: make(chan struct{})}
	sub := Subscription{Newest: true}
	for i := range 32 {
		channel := fmt.Sprintf("c%02d", i)
		f.Publish(channel, channel)
		sub.Channels = append(sub.Channels, channel)
		sub.Starts = append(sub.Starts, content.Start{Kind: content.StartAll})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := e.Open(ctx, sub)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	for i, channel := range sub.Channels {
		c := &s.reader.Channels[i]
		if c.Topic.Sub.Channel() != channel || c.Cursor.Sub() != c.Topic.Sub || !c.Cursor.Newest || c.Cursor.Idle() {
			t.Errorf("channel %d: the cursor is not that of %s at its beginning", i, channel)
		}
	}
}

// A channel that fails is named, and nothing stays subscribed.
func TestOpenNamesTheChannelThatFails(t *testing.T) {
	f := newFeed(t)
	e := f.engine()
	sub := Subscription{Channels: []string{"a", "b", "c", "wrong"}, Starts: make([]content.Start, 4)}
	f.Redis.Client().Set(t.Context(), "sse:wrong", "a string", 0)
	s, err := e.Open(t.Context(), sub)
	var failed *ChannelError
	if s != nil || !errors.As(err, &failed) || failed.Channel != "wrong" || !errors.Is(err, store.ErrWrongType) {
		t.Errorf("opening a channel of a wrong type: %v", err)
	}
	if left := e.Channels(func(string) bool { return true }); len(left) > 0 {
		t.Errorf("%d channels are still subscribed to", len(left))
	}
}
