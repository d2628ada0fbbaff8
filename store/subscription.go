package store

import (
	"context"
	"errors"
	"time"

	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

// Errors of Subscribe and Fetch.
var (
	// ErrWrongType: the channel's key holds a Redis type other than a stream.
	ErrWrongType = errors.New("the channel's key does not hold a Redis stream")
	// ErrUnavailable: Redis could not be asked. It is temporary.
	ErrUnavailable = errors.New("redis is unavailable")
	// ErrClosed: the store is closed or closing.
	ErrClosed = errors.New("the store is closed")
	// ErrStale: what Redis has is not the stream that the log has. The tail
	// finds out why, mostly within milliseconds: the stream was reset, or a
	// replica that is behind was asked.
	ErrStale = errors.New("redis has less of the stream than the window")
)

// Waker is told that a channel may have something new; see tail.Waker. If
// batched is set, the function given to Store.OnRound is called soon.
type Waker = tail.Waker

// channel is a followed channel and who uses it.
type channel struct {
	name string // fixed at construction; a part of the key, not of what a client sent

	// Set under Store.mu before opened is closed, and fixed then.
	source *tail.Source
	err    error // why there is no source

	pages redisstream.SizeEstimate // of entries in pages of history

	// Guarded by Store.mu.
	opened chan struct{} // closed when the channel is open, or err is set; isOpened from then on
	refs   int           // subscriptions, those that wait for the opening included
	linger *time.Timer   // closes the channel; set once refs was 0
}

// isOpened is a closed channel, so that those that are followed need none of their own.
var isOpened = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

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
	ch, opened, err := s.acquire(name)
	if err != nil {
		return nil, err
	}
	select {
	case <-opened:
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
// new. Its source and err may be read when opened is closed.
func (s *Store) acquire(name string) (ch *channel, opened <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, ErrClosed
	}
	ch = s.channels[name]
	if ch == nil {
		key := s.cfg.KeyPrefix + name
		ch = &channel{name: key[len(s.cfg.KeyPrefix):], opened: make(chan struct{})}
		s.channels[ch.name] = ch
		s.metrics.ChannelsActive.Set(float64(len(s.channels)))
		go s.open(ch, key)
	}
	if ch.linger != nil {
		ch.linger.Stop()
	}
	ch.refs++
	return ch, ch.opened, nil
}

// open asks Redis where the stream stands and has the tail follow it. "Now" is
// fixed here, once, as the stream's last-generated-id.
func (s *Store) open(ch *channel, key string) {
	state, err := readUnshared(s.ctx, s, key, s.stateReader(ch.name, key)) // there is one open of a channel at a time
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
	defer s.mu.Unlock()
	ch.source, ch.err = src, err
	close(ch.opened)
	ch.opened = isOpened
	if err != nil {
		s.removeLocked(ch) // the next subscriber tries again
	} else {
		s.retireLocked(ch)
	}
}

// release gives a reference back.
func (s *Store) release(ch *channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch.refs--
	s.retireLocked(ch)
}

// retireLocked closes an open channel that nobody uses, after the linger. One whose
// stream has no entries is closed at once: clients can name arbitrary channels. The
// caller holds mu.
func (s *Store) retireLocked(ch *channel) {
	if ch.refs > 0 || ch.source == nil { // open comes back to one that is not open yet
		return
	}
	if ch.source.Log.View().Head().IsZero() {
		s.removeLocked(ch)
		return
	}
	ch.linger = time.AfterFunc(s.cfg.WindowLinger, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if ch.refs == 0 {
			s.removeLocked(ch)
		}
	})
}

// removeLocked ends a channel, unless that was done before. The caller holds mu.
func (s *Store) removeLocked(ch *channel) {
	if s.channels[ch.name] != ch {
		return
	}
	delete(s.channels, ch.name)
	s.metrics.ChannelsActive.Set(float64(len(s.channels)))
	if src := ch.source; src != nil {
		for n := src.Node(); n != nil && !n.Remove(src); n = src.Node() {
		}
		src.Log.Close()
	}
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
// them if there are fewer, and so of math.MaxInt. Errors are those of Subscribe.
func (sub *Subscription) Last(ctx context.Context, n int) (Cursor, error) {
	if pos, ok := sub.log.View().BeforeLast(n); ok {
		return Cursor{sub, sub.log.From(pos)}, nil
	}
	state, err := sub.state(ctx)
	if err != nil {
		return Cursor{}, err
	}
	switch {
	case state.First.IsZero():
		return sub.Now(), nil
	case int64(n) >= state.Length: // there is no need to walk there
		return Cursor{sub, sub.log.From(state.First.Prev())}, nil
	}
	pos, err := sub.store.seekBack(ctx, sub.ch, n)
	return Cursor{sub, sub.log.From(pos)}, err
}

// Newest asks Redis for the last id that the stream had, which the log may not
// have yet. Errors are those of Subscribe.
func (sub *Subscription) Newest(ctx context.Context) (ID, error) {
	state, err := sub.state(ctx)
	return state.Last, err
}

func (sub *Subscription) state(ctx context.Context) (streamState, error) {
	return sub.store.readState(ctx, sub.ch.name, sub.ch.source.Key)
}
