package store

import (
	"context"
	"sync"
)

// flights has callers that want the same share one call. Unlike singleflight's, a
// call ends when none of its callers waits any longer. Its methods may be called
// concurrently.
type flights struct {
	mu  sync.Mutex
	all map[want]*flight // by what is wanted
}

// flight is a call that is under way.
type flight struct {
	done   chan struct{} // closed when v and err are set
	v      any
	err    error
	cancel context.CancelFunc

	callers int // guarded by flights.mu
}

// do returns what f returns, or what another call for the same, which is under
// way, will. first tells that f was called. The context of f ends with parent, and
// when all callers' contexts have.
func (g *flights) do(ctx, parent context.Context, w want, f func(context.Context) (any, error)) (v any, first bool, err error) {
	g.mu.Lock()
	call := g.all[w]
	if first = call == nil; first {
		var callCtx context.Context
		call = &flight{done: make(chan struct{})}
		callCtx, call.cancel = context.WithCancel(parent)
		g.all[w] = call
		go func() {
			defer call.cancel()
			call.v, call.err = f(callCtx)
			g.mu.Lock()
			g.forgetLocked(w, call)
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
		g.forgetLocked(w, call) // whoever comes now wants an answer
	}
	return nil, first, ctx.Err()
}

func (g *flights) forgetLocked(w want, call *flight) {
	if g.all[w] == call {
		delete(g.all, w)
	}
}
