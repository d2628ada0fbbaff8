package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/resp"
	"github.com/sse-gateway/sse-gateway/store/topology"
)

const (
	// historyReads bounds the reads of older entries that are under way at one
	// node, and so the connections to it, however many clients come back at
	// once.
	historyReads = 8
	// longScanReads is how many callers at once may go back over many pages.
	longScanReads = 2
	// historyTimeout bounds one read with its wait for a connection. A caller
	// that gets the error tries again; its client sees a stream that is open.
	historyTimeout = 10 * time.Second
	// pageCacheTTL is how long at least a page that was read is kept. Clients
	// that were cut off by the same fault come back within that time of each
	// other, give or take the spread of their retry.
	pageCacheTTL = time.Second
	// pageCacheShare is the part of the logs' memory that kept pages may have on
	// top of it, as a divisor.
	pageCacheShare = 16
	// retryFor is how long a read of history is repeated while the tail says
	// that Redis is there, and retryGap the wait in between. After an outage
	// go-redis refuses to dial for up to a second, with the error of its last
	// attempt; a client that sees the replica ready must not be refused.
	retryFor = 1500 * time.Millisecond
	retryGap = 100 * time.Millisecond
)

var (
	// errNowCached: the log has what follows the position by now, because
	// another read has filled it, or the page is cached.
	errNowCached = errors.New("it was read meanwhile")
	// errRefused is a read that was not begun.
	errRefused = fmt.Errorf("%w: no read of history", ErrUnavailable)
)

// unavailable is err as an ErrUnavailable.
func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// history reads what the logs do not hold. Its methods may be called
// concurrently.
type history struct {
	store     *Store
	longScans *semaphore.Weighted
	states    flights[streamState] // by key
	scans     flights[backPage]
	pages     *eventlog.PageCache
}

func newHistory(s *Store) *history {
	return &history{
		store: s, longScans: semaphore.NewWeighted(longScanReads),
		pages: eventlog.NewPageCache(s.cfg.WindowMemory/pageCacheShare, cmp.Or(s.cfg.keepPages, pageCacheTTL)),
	}
}

// readFunc reads from a node. It may be called again after an error.
type readFunc[T any] func(context.Context, *topology.Node) (T, error)

// readOnce runs f as one of the reads of history from the node that has a key.
// Callers with the same flight share one call.
func readOnce[T any](ctx context.Context, h *history, key string, g *flights[T], flight string, f readFunc[T]) (T, error) {
	count := func(outcome string) { h.store.metrics.HistoryReads.WithLabelValues(outcome).Inc() }
	v, first, err := g.do(ctx, h.store.ctx, flight, func(ctx context.Context) (T, error) {
		v, err := lead(ctx, h, key, f)
		switch {
		case err == nil:
			count("read")
		case errors.Is(err, errNowCached):
			count("shared")
		case errors.Is(err, errRefused):
			count("refused")
		case ctx.Err() != nil && h.store.ctx.Err() == nil: // nobody waits for it any longer
		default:
			count("error")
			h.store.metrics.RedisErrors.WithLabelValues(rediserr.Kind(err)).Inc()
			if err = unavailable(err); resp.IsWrongType(err) {
				err = ErrWrongType
			}
		}
		return v, err
	})
	if !first && err == nil {
		count("shared")
	}
	return v, err
}

// lead runs f when there is room for another read from the node that has the
// key. A node that is known to be away is not asked: it would only hold up those
// that want to read from it when it is back.
func lead[T any](ctx context.Context, h *history, key string, f readFunc[T]) (none T, err error) {
	node, err := h.store.topo.NodeOf(key)
	if err != nil {
		return none, err
	}
	if node.Stalled() {
		return none, fmt.Errorf("%w: %s", errRefused, node.Status(time.Now()))
	}
	ctx, cancel := context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	if err := node.HistoryReads.Acquire(ctx, 1); err != nil {
		if h.store.ctx.Err() != nil {
			return none, ErrClosed
		}
		return none, fmt.Errorf("%w: too many are under way", errRefused)
	}
	defer node.HistoryReads.Release(1)
	h.store.metrics.HistoryInFlight.Inc()
	defer h.store.metrics.HistoryInFlight.Dec()
	return retryWhileAlive(ctx, func() bool { return node.Alive(time.Now()) }, func() (T, error) { return f(ctx, node) })
}

// retryWhileAlive calls f, again if it finds no connection to a Redis that is
// there.
func retryWhileAlive[T any](ctx context.Context, alive func() bool, f func() (T, error)) (T, error) {
	for start, first := time.Now(), true; ; first = false {
		v, err := f()
		kind := rediserr.Kind(err)
		if first && kind == metrics.RedisClosed && ctx.Err() == nil {
			continue // it broke while it was idle; go-redis repeats no read of this kind
		}
		lost := err != nil && (kind == metrics.RedisUnreachable || kind == metrics.RedisClosed)
		if !lost || time.Since(start) >= retryFor || !alive() {
			return v, err
		}
		select {
		case <-time.After(retryGap):
		case <-ctx.Done():
			return v, err
		}
	}
}

// streamState is what a stream is, and whether the channel ends with its newest
// entry.
type streamState struct {
	redisstream.Info
	ended bool
	at    time.Time // when the read began: before the call, if another caller has begun it
}

// state reads what the stream of a channel is. A key that is no stream gives
// ErrWrongType.
//
// If a replica does not have the stream, the master is asked: a stream that is
// only on its way to another node of the cluster would be replayed as new. If the
// master cannot be asked, the replica's word counts.
func (h *history) state(ctx context.Context, channel, key string) (streamState, error) {
	newest := []string{"XREVRANGE", key, "+", "-", "COUNT", "1"}
	read := func(ctx context.Context, q redisstream.Querier) (s streamState, err error) {
		s.at = time.Now()
		entry := h.reader(func(e redisstream.Entry) { s.ended = h.store.encode(channel, e).End })
		s.Info, err = redisstream.ReadSnapshot(ctx, q, key, newest, func(r *resp.Reader) error {
			s.ended = false
			return entry.Read(r)
		})
		return s, err
	}
	return readOnce(ctx, h, key, &h.states, key, func(ctx context.Context, n *topology.Node) (streamState, error) {
		q, err := n.Querier(ctx)
		if err != nil {
			return streamState{}, err
		}
		s, err := read(ctx, q)
		if err != nil || s.Exists || !h.store.cfg.ReadReplicas {
			return s, err
		}
		if q, err := n.Master(ctx); err == nil {
			if m, err := read(ctx, q); err == nil {
				return m, nil
			}
		}
		return s, nil
	})
}
