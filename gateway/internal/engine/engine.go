package engine

import (
	"context"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sse-gateway/sse-gateway/gateway/internal/conn"
	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
	"github.com/sse-gateway/sse-gateway/store"
)

// Engine delivers to the streams that were opened with it. Its methods may be called
// concurrently.
type Engine struct {
	env    *env
	shards []*shard
	next   atomic.Uint32 // counts the streams that were opened

	// mu guards stopping. Invariant: stopping is set before the streams are waited
	// for, and no stream is registered afterwards.
	mu       sync.RWMutex
	stopping bool
}

// env is what all shards and streams share. Its fields are fixed, or may be used
// concurrently.
type env struct {
	cfg    Config
	blocks *deflate.Cache // nil: no stream is compressed

	// ctx ends with the last stream's chance to write. Reads of history that
	// streams wait for hang on it.
	ctx    context.Context
	cancel context.CancelFunc

	streams  sync.WaitGroup // those that are registered
	hijacked atomic.Int64   // of them, those whose connection was hijacked
}

// New makes an engine. Run must be called for its streams to get events.
func New(cfg Config) *Engine {
	e := &Engine{env: &env{cfg: cfg}}
	if cfg.BlockMemory > 0 {
		e.env.blocks = deflate.NewCache(cfg.BlockMemory)
	}
	e.env.ctx, e.env.cancel = context.WithCancel(context.Background())
	for range runtime.GOMAXPROCS(0) {
		e.shards = append(e.shards, newShard(e.env))
	}
	return e
}

// Run serves the streams until ctx ends, before which they must have ended. It is
// called once. The error means that the system has no descriptor left to watch
// connections with.
func (e *Engine) Run(ctx context.Context) error {
	e.env.cfg.Store.OnRound(func() {
		for _, s := range e.shards {
			s.deliverInline()
		}
	})
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range e.shards {
		g.Go(func() error { return s.run(ctx) })
	}
	return g.Wait()
}

// Hijacked returns how many streams have a connection that was hijacked from
// net/http.
func (e *Engine) Hijacked() int64 { return e.env.hijacked.Load() }

// openStreams returns the streams that are registered.
func (e *Engine) openStreams() []*Stream {
	var all []*Stream
	for _, s := range e.shards {
		s.mu.Lock()
		for st := range s.streams {
			all = append(all, st)
		}
		s.mu.Unlock()
	}
	return all
}

// Channel is a channel that has subscribers.
type Channel struct {
	Name        string
	Subscribers int
	Position    store.ID // the id of the newest entry that the replica knows of
	Window      store.Window
}

// Channels returns the channels that have subscribers and for which visible is
// true, in no order. It walks all topics.
func (e *Engine) Channels(visible func(channel string) bool) []*Channel {
	all := make(map[string]*Channel)
	for _, s := range e.shards {
		s.mu.Lock()
		for name, t := range s.topics {
			if !visible(name) {
				continue
			}
			c := all[name]
			if c == nil {
				c = &Channel{Name: name}
				all[name] = c
			}
			now := t.Sub.Now()
			c.Subscribers += len(t.subscribers)
			c.Position, c.Window = now.Pos(), t.Sub.Window()
		}
		s.mu.Unlock()
	}
	return slices.Collect(maps.Values(all))
}

// EndEvenly ends the streams in random order, at even distances over the window, so
// that their clients do not reconnect all at once. It returns when all have been
// asked to end, or when ctx ends. reason is one of metrics.
func (e *Engine) EndEvenly(ctx context.Context, reason string, window time.Duration) {
	streams := e.openStreams()
	rand.Shuffle(len(streams), func(i, j int) { streams[i], streams[j] = streams[j], streams[i] })
	start := time.Now()
	for i, s := range streams {
		due := start.Add(window * time.Duration(i) / time.Duration(len(streams)))
		// Sleeping for less than a few milliseconds is not worth it.
		if d := time.Until(due); d > 5*time.Millisecond {
			select {
			case <-ctx.Done():
			case <-time.After(d):
			}
		}
		if ctx.Err() != nil {
			return
		}
		s.end(reason)
	}
}

// Stop ends the streams that are left, for the reason, and waits for them: as long
// as their clients may take for the last bytes, or until ctx ends, then they are
// cut off. No stream can be served afterwards.
func (e *Engine) Stop(ctx context.Context, reason string) {
	defer e.env.cancel()
	e.mu.Lock()
	e.stopping = true
	e.mu.Unlock()
	for _, s := range e.openStreams() {
		s.end(reason)
	}
	done := make(chan struct{})
	go func() {
		e.env.streams.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-time.After(conn.CloseGrace):
	case <-ctx.Done():
	}
	e.env.cancel() // a read of history that a stream waits for
	<-done
}
