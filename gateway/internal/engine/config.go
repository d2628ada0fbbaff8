package engine

import (
	"context"
	"log/slog"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// Store is what the engine needs of package store. Its methods may be called
// concurrently.
type Store interface {
	// Subscribe starts an interest in a channel. It blocks, on the first
	// subscription of a channel, until Redis has answered or ctx ends. Errors are
	// store.ErrWrongType, store.ErrUnavailable, which is temporary, and
	// store.ErrClosed.
	Subscribe(ctx context.Context, channel string, w store.Waker) (*store.Subscription, error)
	// OnRound has f called by the goroutine that has called wakers with deferred
	// set, after the last of them.
	OnRound(f func())
}

// Config is what New needs. Durations are those of the variables of the same name.
type Config struct {
	Heartbeat        time.Duration // positive
	Retry            time.Duration // positive
	WriteTimeout     time.Duration // positive
	FlushInterval    time.Duration // 0: write at once
	MaxConnectionAge time.Duration // 0: no limit
	NoParking        bool          // give every stream a goroutine, as where there is no epoll
	BlockMemory      int           // for compressed events, in bytes; 0: no stream is compressed

	Store   Store
	Metrics *metrics.Gateway
	Log     *slog.Logger
}
