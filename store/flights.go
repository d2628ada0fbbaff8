package store

import (
	"context"
	"sync"
)

// flights has callers that want the same share one call. The zero value is
// ready. Unlike singleflight's, a call ends when none of its callers waits any
// longer. Its methods may be called concurrently.
type flights[T any] struct {
	mu  sync.Mutex
	all map[string]*flight[T] // by name
}

// flight is a call that is under way.
type flight[T any] struct {
	done   chan struct{} // closed when v and err are set
	v      T
	err    error
	cancel context.CancelFunc

	callers int // guarded by flights.mu
}

// do returns what f returns, or what another call of that name, which is under
// way, will. first tells that f was called. The context of f ends with parent, and
// when all callers' contexts have.
func (g *flights[T]) do(ctx, parent context.Context, name string, f func(context.Context) (T, error)) (v T, first bool, err error) {
	g.mu.Lock()
	call := g.all[name]
	if first = call == nil; first {
		var callCtx context.Context
		call = &flight[T]{done: make(chan struct{})}
		callCtx, call.cancel = context.WithCancel(parent)
		if g.all == nil {
			g.all = make(map[string]*flight[T])
		}
		g.all[name] = call
		go func() {
			defer call.cancel()
			call.v, call.err = f(callCtx)
			g.mu.Lock()
			g.forget(name, call)
			g.mu.Unlock()
			close(call.done)
		}()
	}
	call.callers++
	g.mu.Unlock()
	select {
	case <-call.done:
		return call.v, first, call.err
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if call.callers--; call.callers == 0 {
		call.cancel()
		g.forget(name, call) // whoever comes now wants an answer
	}
	return v, first, ctx.Err()
}

// forget ends the sharing of a call. The caller holds mu.
func (g *flights[T]) forget(name string, call *flight[T]) {
	if g.all[name] == call {
		delete(g.all, name)
	}
}
