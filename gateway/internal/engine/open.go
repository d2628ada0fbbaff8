package engine

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sse-gateway/sse-gateway/gateway/internal/content"
	"github.com/sse-gateway/sse-gateway/gateway/internal/lifetime"
)

// Subscription is what a client asks for and may have.
type Subscription struct {
	Channels []string        // sorted, without repeats
	Starts   []content.Start // one per channel
	Unknown  bool            // the client's position was not understood: it gets a gap that says so
	Envelope bool
	Newest   bool      // of what is behind, only the newest entry of a channel is sent
	Ping     bool      // heartbeats are events
	Gzip     bool      // the client takes the content coding; it counts if Config.BlockMemory is set
	Expires  time.Time // when the grant ends; zero: never
	Slot     Slot      // is released when a stream that was served has ended
}

// ChannelError is an error of the store about a channel.
type ChannelError struct {
	Channel string
	Err     error // of Store.Subscribe
}

func (e *ChannelError) Error() string { return e.Channel + ": " + e.Err.Error() }

// Unwrap returns the error of the store.
func (e *ChannelError) Unwrap() error { return e.Err }

// Open subscribes to the channels and places the cursors. It blocks until Redis has
// answered or ctx ends; the error is a *ChannelError, or ErrEnded. The stream must be
// served or discarded.
func (e *Engine) Open(ctx context.Context, sub Subscription) (*Stream, error) {
	s := &Stream{
		shard: e.shards[e.next.Add(1)%uint32(len(e.shards))], ping: sub.Ping, unknown: sub.Unknown, slot: sub.Slot,
		life:   lifetime.New(time.Now(), sub.Expires, e.env.cfg.MaxConnectionAge),
		reader: content.Reader{Envelope: sub.Envelope, Gzip: sub.Gzip && e.env.blocks != nil},
	}
	s.reader.Init(sub.Channels)
	if err := s.subscribe(ctx, &sub); err != nil {
		s.unsubscribe()
		return nil, err
	}
	ended := !sub.Unknown // a gap has to be told
	for i := range s.reader.Channels {
		c := &s.reader.Channels[i]
		_, stalled := c.Topic.Sub.Stalled()
		ended = ended && c.Cursor.Ended() && !stalled // nobody knows what came since Redis went away
	}
	for i := 0; ended && i < len(s.reader.Channels); i++ {
		var err error
		if ended, err = s.reader.Channels[i].Cursor.ConfirmEnd(ctx); err != nil {
			s.unsubscribe()
			return nil, &ChannelError{sub.Channels[i], err}
		}
	}
	if ended {
		s.unsubscribe()
		return nil, ErrEnded
	}
	return s, nil
}

// maxOpening is how many channels of one stream are subscribed to at once. The store
// reads no more at once from one node of Redis.
const maxOpening = 8

// subscribe subscribes to the channels and places the cursors. Channels that are new to
// the replica are side by side: each waits for Redis. The error is a *ChannelError, of
// the first channel that failed.
func (s *Stream) subscribe(ctx context.Context, sub *Subscription) error {
	if len(sub.Channels) == 1 { // mostly; it needs no goroutine
		return s.subscribeTo(ctx, sub, 0)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxOpening)
	for i := range sub.Channels {
		g.Go(func() error { return s.subscribeTo(ctx, sub, i) })
	}
	return g.Wait()
}

// subscribeTo is subscribe for the i-th channel.
func (s *Stream) subscribeTo(ctx context.Context, sub *Subscription, i int) error {
	c := &s.reader.Channels[i]
	err := s.shard.subscribe(ctx, sub.Channels[i], s, i)
	if err == nil {
		err = c.Place(ctx, &sub.Starts[i])
	}
	if err != nil {
		return &ChannelError{sub.Channels[i], err}
	}
	c.Cursor.Newest = sub.Newest
	return nil
}

// Discard ends a stream that is not served. Its slot is not released.
func (s *Stream) Discard() { s.unsubscribe() }

// ErrEnded is the error of Open if all channels have ended, and the client has got, or
// does not ask for, anything of them.
var ErrEnded = errors.New("the channels have ended")
