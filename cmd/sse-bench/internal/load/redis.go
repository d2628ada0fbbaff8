package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/clock"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

const (
	redisDialTimeout = 5 * time.Second
	// redisReadTimeout is long, because an XADD whose reply was not waited for
	// looks the same as one that was never executed.
	redisReadTimeout = 60 * time.Second
	// redisPause is how long to wait after a failed write.
	redisPause = 100 * time.Millisecond
	// redisPublishers is how many pipelines are under way at once.
	redisPublishers = 4
	// cleanupBatch is how many keys one DEL pipeline takes.
	cleanupBatch = 1000
)

// onceCmd is a command that go-redis sends once. Its cluster client would send a
// pipeline again when the connection breaks before all replies are in, whatever
// its options say. It still follows MOVED and ASK, with which nothing was done.
type onceCmd struct{ *redis.Cmd }

// NoRetry implements redis.Cmder.
func (onceCmd) NoRetry() bool { return true }

// redisSink publishes by XADD.
type redisSink struct {
	client redis.UniversalClient
	run    string
	size   int // of an event's data, in bytes
	data   payload
	maxLen int64 // MAXLEN ~, 0 for none
	keys   []string
	errors atomic.Int64 // pipelines that failed
}

// newRedisSink returns one for a URL that a gateway accepts, of one server, of Sentinel
// or of a cluster. It connects when it is used, and sends no command twice: a repeated
// XADD would be a second event. Errors show no password.
func newRedisSink(url string) (*redisSink, error) {
	o, err := redisurl.Universal(url)
	if err != nil {
		return nil, fmt.Errorf("the Redis URL: %w", err)
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = redisDialTimeout, redisReadTimeout, redisReadTimeout
	o.MaxRetries, o.PoolSize, o.ContextTimeoutEnabled = -1, redisPublishers+1, true
	return &redisSink{client: redis.NewUniversalClient(o)}, nil
}

// send implements sink with one pipeline per batch. After a failure Redis itself
// is asked which events are in, because a lost reply does not tell.
func (r *redisSink) send(ctx context.Context, batch []integrity.Payload, accepted func(integrity.Payload, string)) error {
	for len(batch) > 0 {
		failed, first := r.pipeline(ctx, batch, accepted)
		if len(failed) == 0 {
			return first
		}
		r.failed(ctx)
		if !clock.Wait(ctx, redisPause) {
			return fmt.Errorf("publish: %d events were not written: %w", len(failed), first)
		}
		var err error
		if batch, err = r.missing(ctx, failed, accepted); err != nil {
			return err
		}
	}
	return nil
}

// failed counts a pipeline that failed. In a cluster another node may have the
// slots by now, which its client would find out for itself only after a while.
func (r *redisSink) failed(ctx context.Context) {
	r.errors.Add(1)
	if c, ok := r.client.(*redis.ClusterClient); ok {
		c.ReloadState(ctx)
	}
}

// repeat reads until that succeeds, ctx ends, or Redis will refuse it again.
func (r *redisSink) repeat(ctx context.Context, read func() error) error {
	for {
		err := read()
		if err == nil {
			return nil
		}
		r.failed(ctx)
		if redis.HasErrorPrefix(err, "NOPERM") || redis.HasErrorPrefix(err, "WRONGTYPE") || !clock.Wait(ctx, redisPause) {
			return err
		}
	}
}

// pipeline writes a batch and returns what has failed, and why. An error without
// a failed message is final.
func (r *redisSink) pipeline(ctx context.Context, batch []integrity.Payload, accepted func(integrity.Payload, string)) (failed []integrity.Payload, first error) {
	pipe := r.client.Pipeline()
	buf := make([]byte, 0, len(batch)*(max(r.size, integrity.MinSize)+16))
	for _, m := range batch {
		start := len(buf)
		buf = r.data(buf, m)
		args := []any{"xadd", r.keys[m.Channel]}
		if r.maxLen > 0 {
			args = append(args, "maxlen", "~", r.maxLen)
		}
		// A context error, the only one there can be here, comes again from Exec.
		_ = pipe.Process(ctx, onceCmd{redis.NewCmd(ctx, append(args, "*", "data", buf[start:])...)})
	}
	cmds, _ := pipe.Exec(ctx) // every command carries its own error
	refused := map[int]int64{}
	for i, c := range cmds {
		m, err := batch[i], c.Err()
		if err != nil {
			failed, first = append(failed, m), cmp.Or(first, err)
			refused[m.Channel] = m.Seq
			continue
		}
		if n := refused[m.Channel]; n != 0 {
			return nil, fmt.Errorf("publish: %s has event %d but not event %d (%w); the order is broken, so this run proves nothing",
				r.keys[m.Channel], m.Seq, n, first)
		}
		id, _ := c.(onceCmd).Text() // XADD replies with nothing else
		accepted(m, id)
	}
	return failed, first
}

// missing returns the messages that are not in their streams. It waits for
// Redis as long as ctx allows.
func (r *redisSink) missing(ctx context.Context, failed []integrity.Payload, accepted func(integrity.Payload, string)) ([]integrity.Payload, error) {
	last := map[int]*written{}
	if err := r.repeat(ctx, func() error { return r.lastWritten(ctx, failed, last) }); err != nil {
		return nil, fmt.Errorf("publish: %d events were not written: %w", len(failed), err)
	}
	var out []integrity.Payload
	for _, m := range failed {
		w := last[m.Channel]
		if m.Seq > w.seq {
			out = append(out, m)
			continue
		}
		accepted(m, w.ids[m.Seq])
	}
	return out, nil
}

// written is the end of a stream: the number of its last event, and the ids of
// those before.
type written struct {
	seq int64
	ids map[int64]string
}

// lastWritten looks up the end of each message's stream. Writes are in order, so
// the number of the last event tells which of them are in.
func (r *redisSink) lastWritten(ctx context.Context, of []integrity.Payload, last map[int]*written) error {
	count := map[int]int64{}
	for _, m := range of {
		count[m.Channel]++
	}
	pipe := r.client.Pipeline()
	cmds := map[int]*redis.XMessageSliceCmd{}
	for channel, n := range count {
		cmds[channel] = pipe.XRevRangeN(ctx, r.keys[channel], "+", "-", n)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for channel, c := range cmds {
		w := &written{ids: map[int64]string{}}
		for _, entry := range c.Val() {
			if p, ok := r.ours(entry); ok {
				w.seq = max(w.seq, p.Seq)
				w.ids[p.Seq] = entry.ID
			}
		}
		last[channel] = w
	}
	return nil
}

// remove deletes the streams of the run.
func (r *redisSink) remove(ctx context.Context) error {
	var errs []error
	for from := 0; from < len(r.keys); from += cleanupBatch {
		pipe := r.client.Pipeline()
		for _, k := range r.keys[from:min(from+cleanupBatch, len(r.keys))] {
			pipe.Del(ctx, k)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			errs = append(errs, fmt.Errorf("redis: delete streams: %w", err))
		}
	}
	return errors.Join(errs...)
}

// close implements sink.
func (r *redisSink) close() error { return r.client.Close() }
