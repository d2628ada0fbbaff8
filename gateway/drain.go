package gateway

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// Draining reports whether Drain was called.
func (g *Gateway) Draining() bool { return g.draining.Load() }

// Drain refuses new streams from now on, waits for the delay, in which load
// balancers see that the replica is not ready, and then ends the streams
// evenly over the window, so that their clients do not come back to the other
// replicas all at once. It returns when all have ended, or when ctx ends, with
// those that are left cut off.
func (g *Gateway) Drain(ctx context.Context) {
	g.draining.Store(true)
	g.metrics.Draining.Set(1)
	sleep(ctx, g.cfg.DrainDelay)
	g.endEvenly(ctx, metrics.EndDrain, g.cfg.DrainWindow)
	g.stop(ctx, metrics.EndDrain)
}

// Stop ends all streams at once and returns when they have ended.
func (g *Gateway) Stop() {
	g.draining.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	g.stop(ctx, metrics.EndShutdown)
}

// endEvenly ends the streams in random order, at even distances.
func (g *Gateway) endEvenly(ctx context.Context, reason string, window time.Duration) {
	streams := g.hub.all()
	rand.Shuffle(len(streams), func(i, j int) { streams[i], streams[j] = streams[j], streams[i] })
	start := time.Now()
	for i, s := range streams {
		due := start.Add(window * time.Duration(i) / time.Duration(len(streams)))
		// Sleeping for less than a few milliseconds is not worth it.
		if d := time.Until(due); d > 5*time.Millisecond {
			sleep(ctx, d)
		}
		if ctx.Err() != nil {
			return
		}
		s.end(reason)
	}
}

// stop ends the streams that there still are and waits for them: as long as
// their clients may take for the last bytes, then they are cut off.
func (g *Gateway) stop(ctx context.Context, reason string) {
	defer g.cancel()
	g.starting.Lock()
	g.stopping = true
	g.starting.Unlock()
	for _, s := range g.hub.all() {
		s.end(reason)
	}
	done := make(chan struct{})
	go func() {
		g.streams.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-time.After(farewellTimeout):
	case <-ctx.Done():
	}
	g.cancel() // a read of history that a stream waits for
	<-done
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
