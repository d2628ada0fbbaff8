package engine

import (
	"context"
	"sync/atomic"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// topic is a channel as a shard knows it. It is the store.Waker of the shard's
// subscription.
type topic struct {
	shard     *shard
	sub       *store.Subscription
	namespace *metrics.Namespace // of the channel
	dirty     atomic.Bool        // it is in shard.dirty, or about to be woken
	size      atomic.Int32       // len(subscribers)

	subscribers []subscriber // guarded by shard.mu
	// broadcastCursor is where most of the streams are; guarded by shard.loopMu.
	broadcastCursor store.Cursor

	envelopes envelopes
}

// subscriber is one stream's place in a topic.
type subscriber struct {
	stream *Stream
	index  int // of the channel among the stream's channels
}

// Wake implements store.Waker.
func (t *topic) Wake(batched bool) {
	s := t.shard
	if !t.dirty.Swap(true) {
		s.inboxMu.Lock()
		s.dirty = append(s.dirty, t)
		s.waiting += int(t.size.Load())
		s.inboxMu.Unlock()
	}
	if !batched {
		s.notify()
	}
}

// subscribe subscribes a stream to a channel, the index-th of its channels. Errors
// are those of Store.Subscribe.
func (s *shard) subscribe(ctx context.Context, channel string, st *Stream, index int) error {
	s.mu.Lock()
	t := s.topics[channel]
	if t == nil {
		s.mu.Unlock()
		t = &topic{shard: s, namespace: s.env.cfg.Metrics.Namespaces.Of(channel)}
		sub, err := s.env.cfg.Store.Subscribe(ctx, channel, t)
		if err != nil {
			return err
		}
		t.sub = sub
		t.broadcastCursor = sub.Now()
		s.mu.Lock()
		if other := s.topics[channel]; other != nil {
			defer sub.Close() // somebody was faster
			t = other
		} else {
			s.topics[sub.Channel()] = t
		}
	}
	st.channels[index].topic = t
	st.channels[index].index = int32(len(t.subscribers))
	t.subscribers = append(t.subscribers, subscriber{st, index})
	t.size.Store(int32(len(t.subscribers)))
	s.mu.Unlock()
	return nil
}

// unsubscribe ends what subscribe began.
func (s *shard) unsubscribe(c *channelState) {
	t := c.topic
	s.mu.Lock()
	last := len(t.subscribers) - 1
	moved := t.subscribers[last]
	t.subscribers[c.index] = moved
	moved.stream.channels[moved.index].index = c.index
	t.subscribers[last] = subscriber{}
	t.size.Store(int32(last))
	if t.subscribers = t.subscribers[:last]; last == 0 {
		delete(s.topics, t.sub.Channel())
		defer t.sub.Close()
	}
	s.mu.Unlock()
	c.topic = nil
}
