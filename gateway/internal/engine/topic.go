package engine

import (
	"context"
	"sync/atomic"

	"github.com/sse-gateway/sse-gateway/gateway/internal/content"
	"github.com/sse-gateway/sse-gateway/store"
)

// topic is a channel as a shard knows it. It is the store.Waker of the shard's
// subscription.
type topic struct {
	content.Topic
	shard *shard
	dirty atomic.Bool  // it is in shard.dirty, or about to be woken
	size  atomic.Int32 // len(subscribers)

	subscribers []subscriber // guarded by shard.mu
	// broadcastCursor is where most of the streams are; guarded by shard.loopMu.
	broadcastCursor store.Cursor
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
		m := s.env.cfg.Metrics
		t = &topic{shard: s, Topic: content.Topic{Metrics: m, Namespace: m.Namespaces.Of(channel), Blocks: s.env.blocks}}
		sub, err := s.env.cfg.Store.Subscribe(ctx, channel, t)
		if err != nil {
			return err
		}
		t.Sub = sub
		t.broadcastCursor = sub.Now()
		s.mu.Lock()
		if other := s.topics[channel]; other != nil {
			defer sub.Close() // somebody was faster
			t = other
		} else {
			s.topics[sub.Channel()] = t
		}
	}
	c := &st.reader.Channels[index]
	c.Topic, c.Index = &t.Topic, int32(len(t.subscribers))
	t.subscribers = append(t.subscribers, subscriber{st, index})
	t.size.Store(int32(len(t.subscribers)))
	s.mu.Unlock()
	return nil
}

// unsubscribe ends what subscribe began.
func (s *shard) unsubscribe(c *content.Channel) {
	s.mu.Lock()
	t := s.topics[c.Topic.Sub.Channel()]
	last := len(t.subscribers) - 1
	moved := t.subscribers[last]
	t.subscribers[c.Index] = moved
	moved.stream.reader.Channels[moved.index].Index = c.Index
	t.subscribers[last] = subscriber{}
	t.size.Store(int32(last))
	if t.subscribers = t.subscribers[:last]; last == 0 {
		delete(s.topics, t.Sub.Channel())
		defer t.Sub.Close()
	}
	s.mu.Unlock()
	c.Topic = nil
}
