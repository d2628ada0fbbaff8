package store

import (
	"container/list"
	"context"
	"errors"
	"time"

	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

// Waker is told that a channel may have something new; see tail.Waker. If
// batched is set, the function given to Store.OnRound is called soon.
type Waker = tail.Waker

// channel is a followed channel and who uses it.
type channel struct {
	name   string        // fixed at construction
	opened chan struct{} // closed when the channel is open, or err is set

	// Set under Store.mu before opened is closed, and fixed then.
	source *tail.Source
	err    error // why there is no source

	pages redisstream.SizeEstimate // of entries in pages of history
	reads flights[*eventlog.Page]

	// Guarded by Store.mu.
	refs      int           // subscriptions, those that wait for the opening included
	idleSince time.Time     // when refs became 0
	idle      *list.Element // in Store.idle while refs is 0
}

// pageEntries is how many entries of the stream a page of history has, as far as
// is known.
func (ch *channel) pageEntries() int {
	return redisstream.PageEntries(max(ch.source.Size.Bytes(), ch.pages.Bytes()))
}

// Subscription is somebody's interest in a channel. While there is one, the
// channel is followed. Its methods may be called concurrently.
type Subscription struct {
	store      *Store
	ch         *channel
	log        *eventlog.Log
	subscriber *tail.Subscriber
}

// Subscribe starts an interest in a channel; Close ends it. The first
// subscription of a channel asks Redis what the stream is; the errors are
// ErrWrongType, ErrUnavailable, ErrClosed, and those of ctx.
func (s *Store) Subscribe(ctx context.Context, name string, waker Waker) (*Subscription, error) {
	ch, err := s.acquire(name)
	if err != nil {
		return nil, err
	}
	select {
	case <-ch.opened:
		err = ch.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil && ch.source.WrongType() {
		err = ErrWrongType // it was a stream when the channel was opened
	}
	if err != nil {
		s.release(ch)
		return nil, err
	}
	ch.source.Log.Touch()
	return &Subscription{store: s, ch: ch, log: ch.source.Log, subscriber: ch.source.Subscribe(waker)}, nil
}

// acquire returns the channel with one more reference, and opens it if it is
// new.
func (s *Store) acquire(name string) (*channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	ch := s.channels[name]
	if ch == nil {
		ch = &channel{name: name, opened: make(chan struct{})}
		s.channels[name] = ch
		s.metrics.ChannelsActive.Set(float64(len(s.channels)))
		go s.open(ch)
	}
	if ch.idle != nil {
		s.idle.Remove(ch.idle)
		ch.idle = nil
	}
	ch.refs++
	return ch, nil
}

// open asks Redis where the stream stands and has the tail follow it. "Now" is
// fixed here, once, as the stream's last-generated-id.
func (s *Store) open(ch *channel) {
	key := s.cfg.KeyPrefix + ch.name
	state, err := s.history.state(s.ctx, ch.name, key)
	var src *tail.Source
	if err == nil {
		src = &tail.Source{Channel: ch.name, Key: key, Log: eventlog.New(s.budget, ch.name, redisstream.Start(state.Info), state.ended)}
		src.Size.Observe(1, state.Size)
		if err = s.topo.Follow(src); err != nil {
			err, src = unavailable(err), nil
		}
	}
	if errors.Is(err, context.Canceled) {
		err = ErrClosed
	}
	s.mu.Lock()
	ch.source, ch.err = src, err
	unused := s.channels[ch.name] != ch // it was closed meanwhile
	if !unused && (err != nil || s.isWorthless(ch)) {
		s.removeLocked(ch) // the next subscriber tries again
		unused = true
	}
	s.mu.Unlock()
	close(ch.opened)
	if unused {
		s.discard(ch)
	}
}

// release gives a reference back; the last one starts the linger.
func (s *Store) release(ch *channel) {
	s.mu.Lock()
	ch.refs--
	worthless := false
	if ch.refs == 0 && s.channels[ch.name] == ch {
		ch.idleSince = time.Now()
		ch.idle = s.idle.PushBack(ch)
		if worthless = s.isWorthless(ch); worthless {
			s.removeLocked(ch)
		}
	}
	s.mu.Unlock()
	if worthless {
		s.discard(ch)
	}
}

// isWorthless reports whether nobody uses an open channel whose stream has no
// entries. Clients can name arbitrary channels, so those without events must not
// linger. The caller holds mu.
func (s *Store) isWorthless(ch *channel) bool {
	if ch.refs > 0 || ch.source == nil {
		return false
	}
	return ch.source.Log.View().Head().IsZero()
}

// removeLocked takes a channel out of the maps; discard is to follow. The caller
// holds mu.
func (s *Store) removeLocked(ch *channel) {
	delete(s.channels, ch.name)
	s.metrics.ChannelsActive.Set(float64(len(s.channels)))
	if ch.idle != nil {
		s.idle.Remove(ch.idle)
		ch.idle = nil
	}
}

// closeIdle closes the channels that have been idle since before deadline.
func (s *Store) closeIdle(deadline time.Time) {
	var expired []*channel
	s.mu.Lock()
	for e := s.idle.Front(); e != nil; e = s.idle.Front() {
		ch := e.Value.(*channel)
		if ch.idleSince.After(deadline) {
			break
		}
		s.removeLocked(ch)
		if ch.source != nil { // else open discards it
			expired = append(expired, ch)
		}
	}
	s.mu.Unlock()
	for _, ch := range expired {
		s.discard(ch)
	}
}

// discard lets go of a channel that is no longer in s.channels.
func (s *Store) discard(ch *channel) {
	src := ch.source
	if src == nil {
		return // it could not be opened
	}
	for n := src.Node(); n != nil && !n.Remove(src); n = src.Node() {
	}
	src.Log.Close()
}

// Close ends the subscription. The waker is not called afterwards.
func (sub *Subscription) Close() {
	if sub.ch.source.Unsubscribe(sub.subscriber) {
		sub.store.release(sub.ch)
	}
}

// Channel returns the channel's name.
func (sub *Subscription) Channel() string { return sub.ch.name }

// Stalled reports whether the channel's Redis has been unreachable for
// StalledAfter, and since when.
func (sub *Subscription) Stalled() (since time.Time, stalled bool) { return sub.ch.source.Stalled() }

// Window is what the replica has of a channel in memory.
type Window struct {
	Events int
	Bytes  int // those of evicted events that are not free yet included
	After  ID  // the window has every event after this id
}

// Window returns what the replica has of the channel in memory.
func (sub *Subscription) Window() Window {
	v := sub.log.View()
	return Window{Events: v.Len(), Bytes: v.Bytes(), After: v.Floor()}
}

// Now returns a cursor at the newest entry that the replica knows of.
func (sub *Subscription) Now() Cursor { return Cursor{sub, sub.log.Now()} }

// After returns a cursor that goes on after id. If the log cannot tell that the
// id is of this stream, Redis is asked, and if it is not, the first batch is a
// gap.
func (sub *Subscription) After(id ID) Cursor { return Cursor{sub, sub.log.At(id)} }

// Since returns a cursor before the entries of time t and later.
func (sub *Subscription) Since(t time.Time) Cursor {
	ms := max(t.UnixMilli(), 0)
	return Cursor{sub, sub.log.From(ID{Ms: uint64(ms)}.Prev())}
}

// Last returns a cursor before the last n entries of the stream, before all of
// them if there are fewer. Errors are those of Subscribe.
func (sub *Subscription) Last(ctx context.Context, n int) (Cursor, error) {
	if pos, ok := sub.log.View().BeforeLast(n); ok {
		return Cursor{sub, sub.log.From(pos)}, nil
	}
	state, err := sub.state(ctx)
	if err != nil {
		return Cursor{}, err
	}
	if int64(n) >= state.Length { // there is no need to walk there
		return sub.beforeFirst(state), nil
	}
	pos, err := sub.store.history.seekBack(ctx, sub.ch, n)
	if err != nil {
		return Cursor{}, err
	}
	return Cursor{sub, sub.log.From(pos)}, nil
}

// Newest asks Redis for the last id that the stream had, which the log may not
// have yet. Errors are those of Subscribe.
func (sub *Subscription) Newest(ctx context.Context) (ID, error) {
	state, err := sub.state(ctx)
	return state.Last, err
}

// All returns a cursor before the oldest entry that the stream has. Errors are
// those of Subscribe.
func (sub *Subscription) All(ctx context.Context) (Cursor, error) {
	state, err := sub.state(ctx)
	if err != nil {
		return Cursor{}, err
	}
	return sub.beforeFirst(state), nil
}

func (sub *Subscription) state(ctx context.Context) (streamState, error) {
	return sub.store.history.state(ctx, sub.ch.name, sub.ch.source.Key)
}

// beforeFirst returns a cursor before the oldest entry of the stream.
func (sub *Subscription) beforeFirst(state streamState) Cursor {
	if state.First.IsZero() {
		return sub.Now()
	}
	return Cursor{sub, sub.log.From(state.First.Prev())}
}
