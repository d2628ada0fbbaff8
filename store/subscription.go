package store

import (
	"context"
	"errors"
	"time"
)

// Waker is told that a channel may have something new, or that its Redis went
// away or came back. Wake must not block, nor call the store. If deferred is
// set, whoever calls it calls the function given to Store.OnRound soon, when
// all wakers of one round of reads have been told: what there is to do may wait
// until then.
type Waker interface{ Wake(deferred bool) }

// Subscription is somebody's interest in a channel. While there is one, the
// channel is tailed. Its methods may be called concurrently.
type Subscription struct {
	store *Store
	w     *window
	waker Waker
	index int // in w.subs; guarded by w.mu
}

// Subscribe starts an interest in a channel; Close ends it. The first
// subscription of a channel asks Redis what the stream is; the errors are
// ErrWrongType, ErrUnavailable, ErrClosed, and those of ctx.
func (s *Store) Subscribe(ctx context.Context, channel string, waker Waker) (*Subscription, error) {
	w, lead, err := s.acquire(channel)
	if err != nil {
		return nil, err
	}
	if lead {
		go s.open(w)
	}
	if o := s.openingOf(w); o != nil {
		select {
		case <-o.done:
			err = o.err
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err == nil && w.wrongType.Load() {
		err = ErrWrongType // it was a stream when the window was opened
	}
	if err != nil {
		s.release(w)
		return nil, err
	}
	s.budget.touch(w)
	sub := &Subscription{store: s, w: w, waker: waker}
	w.mu.Lock()
	sub.index = len(w.subs)
	w.subs = append(w.subs, sub)
	w.mu.Unlock()
	if n := w.node.Load(); n != nil {
		n.hasten(w)
	}
	return sub, nil
}

// acquire returns the channel's window with one more reference; lead tells the
// caller to open it.
func (s *Store) acquire(channel string) (w *window, lead bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, ErrClosed
	}
	w = s.windows[channel]
	if w == nil {
		key := s.cfg.KeyPrefix + channel
		w = &window{channel: key[len(s.cfg.KeyPrefix):], key: key, opening: &opening{done: make(chan struct{})}}
		s.windows[w.channel] = w
		s.metrics.ChannelsActive.Set(float64(len(s.windows)))
		lead = true
	}
	w.refs++
	return w, lead, nil
}

func (s *Store) openingOf(w *window) *opening {
	s.mu.Lock()
	defer s.mu.Unlock()
	return w.opening
}

// release gives a reference back; the last one starts the linger.
func (s *Store) release(w *window) {
	s.mu.Lock()
	w.refs--
	empty := s.takeOutEmpty(w)
	s.startLinger(w)
	s.mu.Unlock()
	if empty {
		s.discard(w)
	}
}

// takeOutEmpty takes out a window that nobody uses, of a stream that never had
// an entry, and reports whether it did. To linger is of use where there are
// events, and how many streams there are without any is for strangers to say.
// The caller holds s.mu, and discards the window afterwards.
func (s *Store) takeOutEmpty(w *window) bool {
	if w.refs > 0 || w.opening != nil || s.windows[w.channel] != w {
		return false
	}
	if v := w.view.Load(); v == nil || !v.head.IsZero() {
		return false
	}
	delete(s.windows, w.channel)
	s.metrics.ChannelsActive.Set(float64(len(s.windows)))
	return true
}

// startLinger notes that nobody uses the window, if so. The caller holds s.mu.
func (s *Store) startLinger(w *window) {
	if w.refs == 0 && s.windows[w.channel] == w {
		w.idleSince = time.Now()
		if !w.inIdle {
			w.inIdle = true
			s.idle = append(s.idle, idleWindow{w, w.idleSince})
		}
	}
}

// open asks Redis where the stream stands and hands the window to the tail.
// "Now" is fixed here, once, as the stream's last-generated-id.
func (s *Store) open(w *window) {
	info, end, err := s.history.opening(s.ctx, w)
	if err == nil {
		w.mu.Lock()
		w.view.Store(&view{floor: info.last, head: info.last, end: end})
		w.added, w.first, w.counts = info.added, info.first, info.added >= 0
		w.anchored = info.newest == info.last && info.exists
		if !info.exists {
			w.added = 0
		}
		w.mu.Unlock()
		w.avgSize.Store(int64(info.size + entryOverhead))
		err = s.topo.assign(w)
	}
	if errors.Is(err, context.Canceled) {
		err = ErrClosed
	}
	s.mu.Lock()
	o := w.opening
	o.err = err
	if err == nil {
		w.opening = nil
	} else if s.windows[w.channel] == w {
		delete(s.windows, w.channel) // the next subscriber tries again
		s.metrics.ChannelsActive.Set(float64(len(s.windows)))
	}
	empty := s.takeOutEmpty(w) // those who asked may have gone
	s.mu.Unlock()
	if empty {
		s.discard(w)
	}
	close(o.done)
}

// Close ends the subscription. The waker is not called afterwards.
func (sub *Subscription) Close() {
	w := sub.w
	w.mu.Lock()
	last := len(w.subs) - 1
	w.subs[sub.index] = w.subs[last]
	w.subs[sub.index].index = sub.index
	w.subs[last] = nil
	w.subs = w.subs[:last]
	w.mu.Unlock()
	sub.store.release(w)
}

// Channel returns the channel's name.
func (sub *Subscription) Channel() string { return sub.w.channel }

// Stalled reports whether the channel's Redis has been unreachable for
// StalledAfter, and since when.
func (sub *Subscription) Stalled() (since time.Time, stalled bool) {
	if n := sub.w.node.Load(); n != nil {
		return n.stalledSince()
	}
	return time.Time{}, false
}

// Now returns a cursor at the newest entry that the replica knows of.
func (sub *Subscription) Now() Cursor {
	v := sub.w.view.Load()
	return Cursor{sub: sub, pos: v.head, epoch: v.epoch}
}

// After returns a cursor that goes on after id. If the window cannot tell that
// the id is of this stream, Redis is asked, and if it is not, the first batch is
// a gap.
func (sub *Subscription) After(id ID) Cursor {
	v := sub.w.view.Load()
	return Cursor{sub: sub, pos: id, epoch: v.epochOf(id), check: !v.knows(id)}
}

// Since returns a cursor before the entries of time t and later.
func (sub *Subscription) Since(t time.Time) Cursor {
	c := sub.Now()
	if ms := t.UnixMilli(); ms > 0 {
		c.pos = minID(c.pos, ID{Ms: uint64(ms)}.Prev())
	} else {
		c.pos = ID{}
	}
	return c
}

// Last returns a cursor before the last n entries of the stream, which it asks
// Redis for unless the window has them. Errors are those of Subscribe.
func (sub *Subscription) Last(ctx context.Context, n int) (Cursor, error) {
	c := sub.Now()
	v := sub.w.view.Load()
	switch {
	case n <= 0:
		return c, nil
	case n < len(v.entries):
		c.pos = v.entries[len(v.entries)-n-1].ID
		return c, nil
	}
	info, err := sub.store.history.info(ctx, sub.w.key)
	if err != nil {
		return Cursor{}, err
	}
	if int64(n) >= info.length { // there is no need to walk there
		return startOf(c, info), nil
	}
	pos, err := sub.store.history.back(ctx, sub.w, n)
	if err != nil {
		return Cursor{}, err
	}
	c.pos = minID(c.pos, pos)
	return c, nil
}

// Newest asks Redis for the last id that the stream had, which the window may not
// have yet. Errors are those of Subscribe.
func (sub *Subscription) Newest(ctx context.Context) (ID, error) {
	info, err := sub.store.history.info(ctx, sub.w.key)
	return info.last, err
}

// All returns a cursor before the oldest entry that the stream has. Errors are
// those of Subscribe.
func (sub *Subscription) All(ctx context.Context) (Cursor, error) {
	c := sub.Now()
	info, err := sub.store.history.info(ctx, sub.w.key)
	if err != nil {
		return Cursor{}, err
	}
	return startOf(c, info), nil
}

// startOf moves the cursor before the oldest entry of the stream.
func startOf(c Cursor, info streamInfo) Cursor {
	if !info.first.IsZero() {
		c.pos = minID(c.pos, info.first.Prev())
	}
	return c
}
