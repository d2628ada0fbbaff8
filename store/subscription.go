package store

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

// Waker is told that a channel may have something new; see tail.Waker. If
// batched is set, the function given to Store.OnRound is called soon.
type Waker = tail.Waker

// channel is a followed channel and who uses it.
type channel struct {
	name string // fixed at construction

	// source is set by open, before opening is done.
	source *tail.Source
	pages  tail.SizeEstimate  // of entries in pages of history
	reads  singleflight.Group // pages of history on their way

	// Guarded by Store.mu.
	opening   *opening  // nil once the channel is open
	refs      int       // subscriptions, those that wait for the opening included
	idleSince time.Time // when refs became 0
	inIdle    bool      // in Store.idle, once at most
}

// pageEntries is how many entries of the stream a page of history has, as far as
// is known.
func (ch *channel) pageEntries() int {
	return tail.PageEntries(max(ch.source.Size.Bytes(), ch.pages.Bytes()))
}

// opening lets several subscribers wait for one channel to open.
type opening struct {
	done chan struct{} // closed when the channel is open, or err is set
	err  error
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
	ch, first, err := s.acquire(name)
	if err != nil {
		return nil, err
	}
	if first {
		go s.open(ch)
	}
	if o := s.openingOf(ch); o != nil {
		select {
		case <-o.done:
			err = o.err
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err == nil && ch.source.WrongType() {
		err = ErrWrongType // it was a stream when the channel was opened
	}
	if err != nil {
		s.release(ch)
		return nil, err
	}
	s.budget.Touch(ch.source.Log)
	return &Subscription{store: s, ch: ch, log: ch.source.Log, subscriber: ch.source.Subscribe(waker)}, nil
}

// acquire returns the channel with one more reference; first tells the caller to
// open it.
func (s *Store) acquire(name string) (ch *channel, first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, ErrClosed
	}
	ch = s.channels[name]
	if ch == nil {
		ch = &channel{name: name, opening: &opening{done: make(chan struct{})}}
		s.channels[name] = ch
		s.metrics.ChannelsActive.Set(float64(len(s.channels)))
		first = true
	}
	ch.refs++
	return ch, first, nil
}

func (s *Store) openingOf(ch *channel) *opening {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ch.opening
}

// release gives a reference back; the last one starts the linger.
func (s *Store) release(ch *channel) {
	s.mu.Lock()
	ch.refs--
	empty := s.removeEmpty(ch)
	if ch.refs == 0 && s.channels[ch.name] == ch {
		ch.idleSince = time.Now()
		if !ch.inIdle {
			ch.inIdle = true
			s.idle = append(s.idle, idleChannel{ch, ch.idleSince})
		}
	}
	s.mu.Unlock()
	if empty {
		s.discard(ch)
	}
}

// removeEmpty removes a channel that nobody uses and whose stream has no
// entries, and reports whether it did. Clients can name arbitrary channels, so
// those without events must not linger. The caller holds s.mu, and discards the
// channel afterwards.
func (s *Store) removeEmpty(ch *channel) bool {
	if ch.refs > 0 || ch.opening != nil || s.channels[ch.name] != ch || ch.source == nil {
		return false
	}
	if known := ch.source.Log.Known(); !known.Head.IsZero() {
		return false
	}
	delete(s.channels, ch.name)
	s.metrics.ChannelsActive.Set(float64(len(s.channels)))
	return true
}

// open asks Redis where the stream stands and has the tail follow it. "Now" is
// fixed here, once, as the stream's last-generated-id.
func (s *Store) open(ch *channel) {
	key := s.cfg.KeyPrefix + ch.name
	info, ended, err := s.history.opening(s.ctx, ch, key)
	if err == nil {
		src := &tail.Source{Channel: ch.name, Key: key, Log: eventlog.New(ch.name, redisstream.Start(info), ended)}
		src.Size.Observe(1, info.Size)
		ch.source = src
		if err = s.topo.Follow(src); err != nil {
			err = unavailable(err)
		}
	}
	if errors.Is(err, context.Canceled) {
		err = ErrClosed
	}
	s.mu.Lock()
	o := ch.opening
	o.err = err
	if err == nil {
		ch.opening = nil
	} else if s.channels[ch.name] == ch {
		delete(s.channels, ch.name) // the next subscriber tries again
		s.metrics.ChannelsActive.Set(float64(len(s.channels)))
	}
	empty := s.removeEmpty(ch) // those who asked may have gone
	s.mu.Unlock()
	if empty {
		s.discard(ch)
	}
	close(o.done)
}

// Close ends the subscription, once. The waker is not called afterwards.
func (sub *Subscription) Close() {
	sub.ch.source.Unsubscribe(sub.subscriber)
	sub.store.release(sub.ch)
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
	return Window{Events: v.Len(), Bytes: sub.log.Bytes(), After: v.Floor()}
}

// Now returns a cursor at the newest entry that the replica knows of.
func (sub *Subscription) Now() Cursor { return Cursor{sub, sub.log.Now()} }

// After returns a cursor that goes on after id. If the log cannot tell that the
// id is of this stream, Redis is asked, and if it is not, the first batch is a
// gap.
func (sub *Subscription) After(id ID) Cursor { return Cursor{sub, sub.log.At(id)} }

// Since returns a cursor before the entries of time t and later.
func (sub *Subscription) Since(t time.Time) Cursor {
	pos := ID{}
	if ms := t.UnixMilli(); ms > 0 {
		pos = ID{Ms: uint64(ms)}.Prev()
	}
	return Cursor{sub, sub.log.From(pos)}
}

// Last returns a cursor before the last n entries of the stream, before all of
// them if there are fewer. Errors are those of Subscribe.
func (sub *Subscription) Last(ctx context.Context, n int) (Cursor, error) {
	if pos, ok := sub.log.View().BeforeLast(n); ok {
		return Cursor{sub, sub.log.From(pos)}, nil
	}
	info, err := sub.store.history.info(ctx, sub.ch)
	if err != nil {
		return Cursor{}, err
	}
	if int64(n) >= info.Length { // there is no need to walk there
		return sub.beforeFirst(info), nil
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
	info, err := sub.store.history.info(ctx, sub.ch)
	return info.Last, err
}

// All returns a cursor before the oldest entry that the stream has. Errors are
// those of Subscribe.
func (sub *Subscription) All(ctx context.Context) (Cursor, error) {
	info, err := sub.store.history.info(ctx, sub.ch)
	if err != nil {
		return Cursor{}, err
	}
	return sub.beforeFirst(info), nil
}

// beforeFirst returns a cursor before the oldest entry of the stream.
func (sub *Subscription) beforeFirst(info redisstream.Info) Cursor {
	if info.First.IsZero() {
		return sub.Now()
	}
	return Cursor{sub, sub.log.From(info.First.Prev())}
}
