package gateway

import (
	"context"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// Draining reports whether Drain was called.
func (g *Gateway) Draining() bool { return g.draining.Load() }

// Drain makes the replica not ready and waits for the delay, in which load balancers
// notice. New clients are served meanwhile: the balancers still send them. Then it
// refuses new streams and ends the open ones evenly over the window, so that their
// clients do not reconnect to the other replicas all at once. It returns when all have
// ended, or when ctx ends, with those that are left cut off.
func (g *Gateway) Drain(ctx context.Context) {
	g.draining.Store(true)
	g.metrics.Draining.Set(1)
	select {
	case <-ctx.Done():
	case <-time.After(g.cfg.DrainDelay):
	}
	g.refuse()
	g.engine.EndEvenly(ctx, metrics.EndDrain, g.cfg.DrainWindow)
	g.engine.Stop(ctx, metrics.EndDrain)
}

// refuse has new streams refused and ends the waiting of polls.
func (g *Gateway) refuse() {
	g.refusing.Store(true)
	g.stop.Do(func() { close(g.stopping) })
}

// Stop refuses new streams, ends the open ones at once, and returns when they have
// ended.
func (g *Gateway) Stop() {
	g.draining.Store(true)
	g.refuse()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	g.engine.Stop(ctx, metrics.EndShutdown)
}
