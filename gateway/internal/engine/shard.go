package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
)

// shard is one part of the engine: some of the streams, and the goroutine that
// serves them.
type shard struct {
	env    *env
	signal chan struct{} // capacity 1: the inbox is not empty

	// inboxMu guards the inbox. It is apart from mu because the store calls Wake
	// with locks of its own held.
	inboxMu  sync.Mutex
	dirty    []*topic  // to be woken
	waiting  int       // streams of those topics, about
	arrivals []*Stream // to be parked
	watches  []*Stream // have a goroutine, and are to be looked at from now on
	ends     []*Stream // Stream.ending was set

	// mu guards topics, the subscribers of every topic, and streams.
	mu      sync.Mutex
	topics  map[string]*topic
	streams map[*Stream]struct{}

	// loopMu is held by the goroutine that serves the streams: the shard's own, or
	// the tail's. Invariant: nobody else touches parked streams, nor the fields
	// below. It is taken before inboxMu and mu.
	loopMu          sync.Mutex
	reactor         *reactor.Reactor[Stream]
	subscribersCopy []subscriber
	spareDirty      []*topic // for dirty, which is taken as a whole
	discard         [4096]byte
	closed          bool // run has returned
}

func newShard(e *env) *shard {
	return &shard{
		env: e, signal: make(chan struct{}, 1), reactor: reactor.New[Stream](reactor.Nanos(time.Now())),
		topics: make(map[string]*topic), streams: make(map[*Stream]struct{}),
	}
}

// maxInline is how many streams of a shard the tail serves itself.
const maxInline = 16

// deliverInline is Engine.deliverInline for one shard.
func (s *shard) deliverInline() {
	s.inboxMu.Lock()
	topics, streams := len(s.dirty), s.waiting
	s.inboxMu.Unlock()
	switch {
	case topics == 0:
	case s.env.cfg.FlushInterval > 0, topics > maxInline, streams > maxInline, !s.loopMu.TryLock():
		s.notify()
	default:
		if !s.closed {
			s.wakeDirty()
		}
		s.loopMu.Unlock()
	}
}

func (s *shard) notify() {
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// enqueuePark hands a stream over to the shard, which parks it. Its descriptor is
// detached.
func (s *shard) enqueuePark(st *Stream) {
	s.inboxMu.Lock()
	s.arrivals = append(s.arrivals, st)
	s.inboxMu.Unlock()
	s.notify()
}

// enqueueWatch has the shard look at the progress of a stream's client.
func (s *shard) enqueueWatch(st *Stream) {
	s.inboxMu.Lock()
	s.watches = append(s.watches, st)
	s.inboxMu.Unlock()
	s.notify()
}

// enqueueEnd has the shard end a stream, if it is parked.
func (s *shard) enqueueEnd(st *Stream) {
	s.inboxMu.Lock()
	s.ends = append(s.ends, st)
	s.inboxMu.Unlock()
	s.notify()
}

// run serves the shard's streams until ctx ends.
func (s *shard) run(ctx context.Context) {
	s.loopMu.Lock()
	if err := s.openReactor(); err != nil {
		s.env.cfg.Log.Warn("connections will not be parked", "error", err)
	}
	s.loopMu.Unlock()
	defer func() {
		s.loopMu.Lock()
		s.closed = true
		s.reactor.Close()
		s.loopMu.Unlock()
	}()
	s.notify()            // for what the tail has left to an engine that did not run yet
	var tick *time.Ticker // runs while something is scheduled
	var ticks <-chan time.Time
	var flush <-chan time.Time // runs while topics are being collected
	interval := s.env.cfg.FlushInterval
	for {
		select {
		case <-ctx.Done():
			if tick != nil {
				tick.Stop()
			}
			return
		case <-s.signal:
			s.loopMu.Lock()
			s.drainInbox()
			switch {
			case interval == 0:
				s.wakeDirty()
			case flush == nil:
				flush = time.After(interval)
			}
		case <-flush:
			s.loopMu.Lock()
			flush = nil
			s.wakeDirty()
		case events := <-s.reactor.Ready():
			s.loopMu.Lock()
			s.handle(events)
		case now := <-ticks:
			s.loopMu.Lock()
			s.advance(now)
		}
		switch idle := s.reactor.Scheduled() == 0; {
		case idle && tick != nil:
			tick.Stop()
			tick, ticks = nil, nil
		case !idle && tick == nil:
			tick = time.NewTicker(reactor.Tick)
			ticks = tick.C
		}
		s.loopMu.Unlock()
	}
}

// openReactor opens the reactor, where the system has what it takes.
func (s *shard) openReactor() error {
	if s.env.cfg.NoParking {
		return nil
	}
	if err := s.reactor.Open(); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// drainInbox takes in the streams that have arrived and ends those that must end.
// The caller holds loopMu, as with wakeDirty and wake.
func (s *shard) drainInbox() {
	s.inboxMu.Lock()
	arrivals, watches, ends := s.arrivals, s.watches, s.ends
	s.arrivals, s.watches, s.ends = nil, nil, nil
	s.inboxMu.Unlock()
	for _, st := range arrivals {
		s.park(st)
	}
	for _, st := range watches {
		if st.place == 0 && !st.gone { // or it was parked in the meantime, or has ended
			s.addSlot(st)
			s.schedule(st, time.Now())
		}
	}
	for _, st := range ends {
		if st.parked {
			s.flush(st)
		}
	}
}

// wakeDirty serves the streams of the topics that have something new.
func (s *shard) wakeDirty() {
	s.inboxMu.Lock()
	dirty := s.dirty
	s.dirty, s.waiting = s.spareDirty, 0
	s.inboxMu.Unlock()
	for _, t := range dirty {
		t.dirty.Store(false) // before the streams look, so that nothing is missed
		s.wake(t)
	}
	clear(dirty)
	s.spareDirty = dirty[:0]
}

// wake serves the streams of one topic. Those that are parked where most of them
// are get one broadcast. The list is copied so that streams can come and go
// meanwhile.
//
// A stream that the broadcast of round 0 does not fit is served by itself then. In
// later rounds it is left alone: what it could not take in round 0 it takes on its
// own goroutine, and what came since is the next round's of its own wake-up.
func (s *shard) wake(t *topic) {
	s.mu.Lock()
	s.subscribersCopy = append(s.subscribersCopy[:0], t.subscribers...)
	s.mu.Unlock()
	if len(s.subscribersCopy) == 0 {
		return // subscribe may not be done with the topic, or unsubscribe is
	}
	for round := 0; ; round++ {
		b := t.nextBroadcast()
		for i := range s.subscribersCopy {
			st := s.subscribersCopy[i].stream
			switch {
			case st.parked && b.matches(st):
				s.send(st, b)
			case round > 0 && b != nil: // it was served in round 0, by itself
			case st.parked:
				s.flush(st)
			default:
				st.wake()
			}
		}
		b.done()
		if b == nil || t.broadcastCursor.Idle() {
			break
		}
		if round == maxBatchesPerTurn-1 {
			t.Wake(false) // the others of the shard wait, too
			break
		}
	}
	clear(s.subscribersCopy)
}
