package main

import (
	"context"
	"time"
)

// engine moves the bytes of one group's subscribers. Methods are called by one
// goroutine at a time.
type engine interface {
	// open connects every subscriber that is away, each after its offset, and
	// keeps it connected by EventSource's rules until leave or close.
	open(offset func(index int) time.Duration)
	// leave ends every connection and every attempt. open may follow.
	leave()
	// close is leave for good; it waits until no goroutine of the engine is left.
	close()
}

// engineNames are the values of -engine.
const (
	engineAuto      = "auto"
	engineEpoll     = "epoll"
	engineGoroutine = "goroutine"
)

// newEngine makes the engine that the configuration asks for. limit is how many
// attempts may be between SYN and response head at once.
func newEngine(g *group, limit int) (engine, error) {
	name := g.cfg.Engine
	if name == engineAuto {
		name = engineGoroutine
		if epollSupported && !usesTLS(g.targets) && !usesTLS(g.returns) {
			name = engineEpoll
		}
	}
	if name == engineEpoll {
		return newEpollEngine(g, limit)
	}
	return newGoroutineEngine(g, limit), nil
}

// unixNow is the clock of send times and latencies.
func unixNow() int64 { return time.Now().UnixNano() }

// wait blocks for d or until ctx ends; it tells whether d passed.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
