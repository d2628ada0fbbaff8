package access

import (
	"context"
	"sync"
)

// digest is a SHA-256 that stands for all of a question.
type digest [32]byte

// flights lets equal questions that are asked at once share one answer. Unlike
// x/sync/singleflight it cancels a question that nobody waits for any more, so
// that there are never more of them than open requests.
type flights struct {
	// mu guards m and every flight's waiters. A flight is in m from its start
	// until it is done or has no waiters.
	mu sync.Mutex
	m  map[digest]*flight
}

type flight struct {
	cancel  context.CancelFunc
	waiters int

	done chan struct{} // closed after v is set
	v    verdict
}

// do returns the verdict of fn, from a call that is under way or a new one. The
// call has a context of its own: a caller that goes away ends it only if it was
// the last. The error is that of ctx.
func (g *flights) do(ctx context.Context, key digest, fn func(context.Context) verdict) (verdict, error) {
	g.mu.Lock()
	f := g.m[key]
	if f == nil {
		f = g.start(key, fn)
	}
	f.waiters++
	g.mu.Unlock()

	select {
	case <-f.done:
		return f.v, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		g.forget(key, f)
		f.cancel()
	}
	return verdict{}, ctx.Err()
}

// start begins a flight. mu is held.
func (g *flights) start(key digest, fn func(context.Context) verdict) *flight {
	ctx, cancel := context.WithCancel(context.Background())
	f := &flight{cancel: cancel, done: make(chan struct{})}
	if g.m == nil {
		g.m = make(map[digest]*flight)
	}
	g.m[key] = f
	go func() {
		defer cancel()
		f.v = fn(ctx)
		g.mu.Lock()
		g.forget(key, f)
		g.mu.Unlock()
		close(f.done)
	}()
	return f
}

// forget removes f, unless another flight has taken its place. mu is held.
func (g *flights) forget(key digest, f *flight) {
	if g.m[key] == f {
		delete(g.m, key)
	}
}
