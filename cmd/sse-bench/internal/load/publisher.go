package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/clock"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"
)

const (
	// publishBatch is how many events one pipeline carries at most.
	publishBatch = 256
	// publishGrace is how long events that are due may still be sent after the
	// end, when the other side was away.
	publishGrace = 60 * time.Second
)

// payload appends the data of an event.
type payload func(b []byte, p integrity.Payload) []byte

// sink writes events to where subscribers get them from. send is called by
// several goroutines, each with channels of its own, and returns when every
// message is in, in order and once. It repeats what fails, until ctx ends.
// accepted is called for every message as soon as it is known to be in, with the
// id that it got in its stream, "" if that is not known.
type sink interface {
	send(ctx context.Context, batch []integrity.Payload, accepted func(m integrity.Payload, id string)) error
	close() error
}

// schedule is when events are due: number k (from 0) at start plus k/rate seconds.
type schedule struct {
	start int64   // unix ns
	rate  float64 // events per second, over all channels
}

// due returns the time (unix ns) of event number k.
func (s schedule) due(k int64) int64 {
	return s.start + int64(float64(k)*float64(time.Second)/s.rate)
}

// publisher sends numbered events at a constant rate, round robin over the
// channels. It is an open loop: events are due by the clock, whatever became of
// the ones before, and their latency counts from when they were due.
type publisher struct {
	sink     sink
	channels int
	shards   int // senders; every channel belongs to one of them
	// subscribers is how many there are per channel.
	subscribers []int64

	sent     []atomic.Int64 // per channel: highest number accepted
	total    atomic.Int64   // events accepted
	expected atomic.Int64   // deliveries that follow from them

	// ids is what gaps are judged by: per channel, nil if they cannot be. A
	// channel's belongs to its sender while run is under way.
	ids []integrity.IDLog

	mu   sync.Mutex
	late report.Histogram // how long after their time events were sent, ns
}

func newPublisher(s sink, channels, shards int, subscribers []int64) *publisher {
	return &publisher{
		sink: s, channels: channels, shards: min(max(shards, 1), channels),
		subscribers: subscribers, sent: make([]atomic.Int64, channels),
	}
}

// run publishes events number from to to-1 (counted over all channels) by the
// schedule, whose event 0 is number from. When stop ends it stops early; what
// it has begun is finished within publishGrace.
func (p *publisher) run(stop context.Context, at schedule, from, to int64) error {
	end := time.Unix(0, at.due(to-from)).Add(publishGrace)
	ctx, cancel := context.WithDeadline(context.WithoutCancel(stop), end)
	defer cancel()
	defer context.AfterFunc(stop, func() { time.AfterFunc(publishGrace, cancel) })()
	var eg errgroup.Group
	for i := range p.shards {
		eg.Go(func() error { return p.shard(ctx, stop, i, at, from, to) })
	}
	return eg.Wait()
}

// shard sends the events of the channels that are i modulo shards.
func (p *publisher) shard(ctx, stop context.Context, i int, at schedule, from, to int64) error {
	batch := make([]integrity.Payload, 0, publishBatch)
	for k := p.own(from, i); k < to; {
		if !clock.WaitUntil(stop, at.due(k-from)) {
			return nil
		}
		now := clock.Now()
		batch = batch[:0]
		for k < to && len(batch) < publishBatch && at.due(k-from) <= now {
			batch = append(batch, integrity.Payload{Channel: int(k % int64(p.channels)), Seq: k/int64(p.channels) + 1, Due: at.due(k - from)})
			k = p.own(k+1, i)
		}
		p.mu.Lock()
		for _, m := range batch {
			p.late.Add(now - m.Due)
		}
		p.mu.Unlock()
		if err := p.sink.send(ctx, batch, p.accepted); err != nil {
			return err
		}
	}
	return nil
}

// own returns the first event number from k on that belongs to shard i.
func (p *publisher) own(k int64, i int) int64 {
	for int(k%int64(p.channels))%p.shards != i {
		k++
	}
	return k
}

func (p *publisher) accepted(m integrity.Payload, id string) {
	if p.ids != nil {
		if e, ok := integrity.ParseEntryID(id); ok {
			p.ids[m.Channel] = p.ids[m.Channel].Add(integrity.Noted{ID: e, Seq: m.Seq})
		}
	}
	p.sent[m.Channel].Store(m.Seq)
	p.total.Add(1)
	p.expected.Add(p.subscribers[m.Channel])
}

// published returns the highest number of every channel.
func (p *publisher) published() []int64 {
	out := make([]int64, len(p.sent))
	for i := range p.sent {
		out[i] = p.sent[i].Load()
	}
	return out
}
