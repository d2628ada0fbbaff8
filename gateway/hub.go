package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/store"
)

// A hub spreads what the store announces to the streams concerned. Streams are
// divided among shards, each with one goroutine; a shard has one subscription
// per channel, however many of its streams are subscribed. So the tail wakes a
// handful of shards, not thousands of streams, and a stream is served by one
// goroutine only.
type hub struct {
	shards []*shard
	next   atomic.Uint32
}

func newHub(g *Gateway, shards int) *hub {
	h := &hub{}
	for range shards {
		h.shards = append(h.shards, newShard(g))
	}
	return h
}

// run serves the streams until ctx ends. They must have ended before.
func (h *hub) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range h.shards {
		wg.Go(func() { s.run(ctx) })
	}
	wg.Wait()
}

// pick returns the shard for a new stream.
func (h *hub) pick() *shard { return h.shards[int(h.next.Add(1))%len(h.shards)] }

// all returns the streams that are open.
func (h *hub) all() []*stream {
	var all []*stream
	for _, s := range h.shards {
		s.mu.Lock()
		for st := range s.streams {
			all = append(all, st)
		}
		s.mu.Unlock()
	}
	return all
}

// serveFew serves the streams that a round of the tail concerns, if they are
// few: by the goroutine of the tail, because to wake another would take longer
// than the writes do. Where there are many the shards serve them side by side,
// and the tail reads on.
func (h *hub) serveFew() {
	for _, s := range h.shards {
		s.serveFew()
	}
}

// shard is one part of the hub.
type shard struct {
	g      *Gateway
	signal chan struct{} // capacity 1: the inbox is not empty

	// inMu guards the inbox; it is apart from mu because the store calls Wake
	// with locks of its own held.
	inMu     sync.Mutex
	dirty    []*topic  // to be woken
	waiting  int       // streams of those topics, about
	arrivals []*stream // to be parked
	ends     []*stream // stream.ending was set

	// mu guards topics, the streams of every topic, and streams.
	mu      sync.Mutex
	topics  map[string]*topic
	streams map[*stream]struct{}

	// turn is held by the goroutine that serves the streams: the shard's own,
	// or the tail's. Invariant: nobody else touches what is parked, nor the
	// fields below. It is taken before inMu and mu.
	turn    sync.Mutex
	lot     *lot // where streams are parked; nil where that is not supported
	scratch []subscriber
	spare   []*topic // for dirty, which is taken as a whole
	closed  bool     // run has returned
}

func newShard(g *Gateway) *shard {
	return &shard{
		g: g, signal: make(chan struct{}, 1), lot: newLot(g),
		topics: make(map[string]*topic), streams: make(map[*stream]struct{}),
	}
}

// topic is a channel as a shard knows it.
type topic struct {
	shard *shard
	sub   *store.Subscription
	dirty atomic.Bool // it is in shard.dirty, or about to be woken

	streams []subscriber // guarded by shard.mu
	size    atomic.Int32 // len(streams)
	// lead is where most of the streams are; guarded by shard.turn.
	lead store.Cursor

	envelopes envelopes
}

// subscriber is one stream's place in a topic.
type subscriber struct {
	stream *stream
	index  int // of the channel among the stream's channels
}

// Wake implements store.Waker.
func (t *topic) Wake(deferred bool) {
	s := t.shard
	if !t.dirty.Swap(true) {
		s.inMu.Lock()
		s.dirty = append(s.dirty, t)
		s.waiting += int(t.size.Load())
		s.inMu.Unlock()
	}
	if !deferred {
		s.notify()
	}
}

// fewStreams is how many streams of a shard the tail serves itself.
const fewStreams = 16

// serveFew is hub.serveFew for one shard.
func (s *shard) serveFew() {
	s.inMu.Lock()
	topics, streams := len(s.dirty), s.waiting
	s.inMu.Unlock()
	switch {
	case topics == 0:
	case s.g.cfg.FlushInterval > 0, topics > fewStreams, streams > fewStreams, !s.turn.TryLock():
		s.notify()
	default:
		if !s.closed {
			s.wakeDirty()
		}
		s.turn.Unlock()
	}
}

func (s *shard) notify() {
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// arrive hands a stream over to the shard, which parks it.
func (s *shard) arrive(st *stream) {
	s.inMu.Lock()
	s.arrivals = append(s.arrivals, st)
	s.inMu.Unlock()
	s.notify()
}

// post has the shard look whether a stream, if it is parked, has to end.
func (s *shard) post(st *stream) {
	s.inMu.Lock()
	s.ends = append(s.ends, st)
	s.inMu.Unlock()
	s.notify()
}

// run serves the shard's streams until ctx ends.
func (s *shard) run(ctx context.Context) {
	s.turn.Lock()
	s.lot.open()
	s.turn.Unlock()
	defer func() {
		s.turn.Lock()
		s.closed = true
		s.lot.r.Close()
		s.turn.Unlock()
	}()
	s.notify() // for what the tail has left to a gateway that did not run yet
	tick := time.NewTicker(reactor.Tick)
	defer tick.Stop()
	var flush <-chan time.Time // runs while topics are being collected
	interval := s.g.cfg.FlushInterval
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.signal:
			s.turn.Lock()
			s.takeIn()
			switch {
			case interval == 0:
				s.wakeDirty()
			case flush == nil:
				flush = time.After(interval)
			}
		case <-flush:
			s.turn.Lock()
			flush = nil
			s.wakeDirty()
		case events := <-s.lot.r.Ready():
			s.turn.Lock()
			s.lot.handle(events)
		case now := <-tick.C:
			s.turn.Lock()
			s.lot.advance(now)
		}
		s.turn.Unlock()
	}
}

// takeIn parks the streams that have arrived and ends those that have to.
func (s *shard) takeIn() {
	s.inMu.Lock()
	arrivals, ends := s.arrivals, s.ends
	s.arrivals, s.ends = nil, nil
	s.inMu.Unlock()
	for _, st := range arrivals {
		s.lot.park(st)
	}
	for _, st := range ends {
		if st.parked.slot != 0 {
			s.lot.pump(st)
		}
	}
}

// wakeDirty serves the streams of the topics that have something new. The
// caller holds turn, as with takeIn and wake.
func (s *shard) wakeDirty() {
	s.inMu.Lock()
	dirty := s.dirty
	s.dirty, s.waiting = s.spare, 0
	s.inMu.Unlock()
	for _, t := range dirty {
		t.dirty.Store(false) // before the streams look, so that nothing is missed
		s.wake(t)
	}
	clear(dirty)
	s.spare = dirty[:0]
}

// wake serves the streams of one topic. Those that are parked where most of
// them are get the same bytes; the list is copied so that connections can come
// and go meanwhile.
func (s *shard) wake(t *topic) {
	s.mu.Lock()
	s.scratch = append(s.scratch[:0], t.streams...)
	s.mu.Unlock()
	if len(s.scratch) == 0 {
		return // join may not be done with the topic, or leave is
	}
	for turn := 0; ; turn++ {
		same := t.share()
		for i := range s.scratch {
			st := s.scratch[i].stream
			switch {
			case st.parked.slot != 0 && same.fits(st):
				s.lot.send(st, same)
			case turn > 0 && same != nil: // it was served in the first turn, by itself
			case st.parked.slot != 0:
				s.lot.pump(st)
			default:
				st.wake()
			}
		}
		same.done(s.g)
		if same == nil || t.lead.Idle() {
			break
		}
		if turn == pumpTurns-1 {
			t.Wake(false) // the others of the shard wait, too
			break
		}
	}
	clear(s.scratch)
}

// join subscribes a stream to a channel, the index-th of its channels. Errors
// are those of Store.Subscribe.
func (s *shard) join(ctx context.Context, channel string, st *stream, index int) error {
	s.mu.Lock()
	t := s.topics[channel]
	if t == nil {
		s.mu.Unlock()
		t = &topic{shard: s}
		sub, err := s.g.cfg.Store.Subscribe(ctx, channel, t)
		if err != nil {
			return err
		}
		t.sub = sub
		t.lead = sub.Now()
		s.mu.Lock()
		if other := s.topics[channel]; other != nil {
			defer sub.Close() // somebody was faster
			t = other
		} else {
			s.topics[sub.Channel()] = t
		}
	}
	st.channels[index].topic = t
	st.channels[index].place = int32(len(t.streams))
	t.streams = append(t.streams, subscriber{st, index})
	t.size.Store(int32(len(t.streams)))
	s.mu.Unlock()
	return nil
}

// leave ends what join began.
func (s *shard) leave(c *channelState) {
	t := c.topic
	s.mu.Lock()
	last := len(t.streams) - 1
	moved := t.streams[last]
	t.streams[c.place] = moved
	moved.stream.channels[moved.index].place = c.place
	t.streams[last] = subscriber{}
	t.size.Store(int32(last))
	if t.streams = t.streams[:last]; last == 0 {
		delete(s.topics, t.sub.Channel())
		defer t.sub.Close()
	}
	s.mu.Unlock()
	c.topic = nil
}

func (s *shard) add(st *stream) {
	s.mu.Lock()
	s.streams[st] = struct{}{}
	s.mu.Unlock()
}

func (s *shard) remove(st *stream) {
	s.mu.Lock()
	delete(s.streams, st)
	s.mu.Unlock()
}
