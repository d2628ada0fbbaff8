package client

import (
	"time"
)

// connectTimeout bounds the time from the SYN to the response head.
const connectTimeout = 10 * time.Second

// engine moves the bytes of a group's subscribers. Methods are called by one
// goroutine at a time.
type engine interface {
	// open connects every subscriber that is away and keeps it connected by
	// EventSource's rules until leave or close.
	open()
	// leave ends the connections and attempts of the first n subscribers. open may
	// follow.
	leave(n int)
	// close ends everything; it waits until no goroutine of the engine is left.
	close()
}

// The engines.
const (
	EngineAuto      = "auto"      // epoll where it exists and no address is https
	EngineEpoll     = "epoll"     // Linux, no TLS
	EngineGoroutine = "goroutine" // everywhere, at several times the processor time
)

func newEngine(g *group) (engine, error) {
	name := g.cfg.Engine
	if name == EngineAuto {
		name = EngineGoroutine
		if EpollSupported && !usesTLS(g.targets, g.returns) {
			name = EngineEpoll
		}
	}
	if name == EngineEpoll {
		return newEpollEngine(g)
	}
	return newGoroutineEngine(g), nil
}
