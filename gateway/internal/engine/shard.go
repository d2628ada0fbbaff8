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
	inboxMu sync.Mutex
	dirty   []*topic // to be woken
	waiting int      // streams of those topics, about
	notes   []note

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
	spareNotes      []note   // likewise
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

// deliverInline serves the streams that a round of the tail concerns, if they are few,
// on the goroutine of the tail: to wake another would take longer than the writes do.
// Where there are many, the shards serve them side by side, and the tail reads on.
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

// note is what a shard is told of a stream.
type note struct {
	stream *Stream
	what   noteKind
}

type noteKind uint8

const (
	toBeServed  noteKind = iota // serve it now, if it is parked
	toBeParked                  // its descriptor is detached, and the shard is its owner from now on
	toBeWatched                 // it has a goroutine, and the progress of its client is to be looked at
)

// tell leaves the shard a note. Any goroutine may call it.
func (s *shard) tell(st *Stream, what noteKind) {
	s.inboxMu.Lock()
	s.notes = append(s.notes, note{st, what})
	s.inboxMu.Unlock()
	s.notify()
}

// run serves the shard's streams until ctx ends. The error means that the
// system has no descriptor left.
func (s *shard) run(ctx context.Context) error {
	s.loopMu.Lock()
	err := s.reactor.Open()
	s.loopMu.Unlock()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	defer func() {
		s.loopMu.Lock()
		s.closed = true
		s.reactor.Close()
		s.loopMu.Unlock()
	}()
	s.notify()                           // for what the tail has left to an engine that did not run yet
	tick := time.NewTicker(reactor.Tick) // runs while something is scheduled
	defer tick.Stop()
	ticks := true
	var flush <-chan time.Time // runs while topics are being collected
	interval := s.env.cfg.FlushInterval
	for {
		select {
		case <-ctx.Done():
			return nil
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
		case now := <-tick.C:
			s.loopMu.Lock()
			s.advance(now)
		}
		if scheduled := s.reactor.Scheduled() > 0; scheduled && !ticks {
			tick.Reset(reactor.Tick)
			ticks = true
		} else if !scheduled && ticks {
			tick.Stop()
			ticks = false
		}
		s.loopMu.Unlock()
	}
}

// drainInbox does what the notes say. The caller holds loopMu, as with wakeDirty and
// wake.
func (s *shard) drainInbox() {
	s.inboxMu.Lock()
	notes := s.notes
	s.notes = s.spareNotes
	s.inboxMu.Unlock()
	for _, n := range notes {
		switch st := n.stream; {
		case n.what == toBeParked:
			s.park(st)
		case n.what == toBeWatched && !st.gone:
			st.place = s.reactor.Add(st)
			s.schedule(st, time.Now())
		case n.what == toBeServed && st.parked:
			s.flush(st)
		}
	}
	clear(notes)
	s.spareNotes = notes[:0]
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
// later rounds it is left alone: what it could not take in round 0 it takes when its
// socket has room, and what came since is the next round's of its own wake-up.
func (s *shard) wake(t *topic) {
	s.mu.Lock()
	s.subscribersCopy = append(s.subscribersCopy[:0], t.subscribers...)
	s.mu.Unlock()
	if len(s.subscribersCopy) == 0 {
		return // subscribe may not be done with the topic, or unsubscribe is
	}
	for round := 0; ; round++ {
		b := t.NextBroadcast(&t.broadcastCursor)
		for i := range s.subscribersCopy {
			st := s.subscribersCopy[i].stream
			switch {
			case st.parked && st.takes(b):
				s.send(st, b)
			case round > 0 && b != nil: // it was served in round 0, by itself
			case st.parked && st.pending == nil: // otherwise its socket has no room
				s.flush(st)
			default:
				st.wake()
			}
		}
		b.Done()
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
