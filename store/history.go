package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/resp"
	"github.com/sse-gateway/sse-gateway/store/topology"
)

const (
	// historyReads bounds the reads that are under way at one node, and so the
	// connections to it, however many clients come back at once.
	historyReads = 8
	// historyTimeout bounds one read with its wait for a connection. A caller
	// that gets the error tries again; its client sees a stream that is open.
	historyTimeout = 10 * time.Second
	// retryFor is how long a read is repeated while the tail says that Redis is
	// there, and retryGap the wait in between. After an outage go-redis refuses
	// to dial for up to a second, with the error of its last attempt; a client
	// that sees the replica ready must not be refused.
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

func (s *Store) countRead(outcome string) { s.metrics.HistoryReads.WithLabelValues(outcome).Inc() }

// readFunc reads from the server of a node that is followed. It may be called again
// after an error.
type readFunc[T any] func(context.Context, *topology.Node, redisstream.Querier) (T, error)

// want is what is read, and callers that want the same share a call: the state of the
// stream at key; a page of entries after pos; or, on the way back, count entries
// before pos. A page that was asked for before the log entered its epoch is not
// shared: it may be of the stream before the reset.
type want struct {
	key   string
	log   *eventlog.Log // only for a page
	epoch uint32        // only for a page
	pos   ID
	count int // only on the way back
}

// readOnce runs f as one of the reads of history from the node that has the key.
func readOnce[T any](ctx context.Context, s *Store, w want, f readFunc[T]) (T, error) {
	v, first, err := s.flights.do(ctx, s.ctx, w, func(ctx context.Context) (any, error) { return readUnshared(ctx, s, w.key, f) })
	if !first && err == nil {
		s.countRead("shared")
	}
	got, _ := v.(T)
	return got, err
}

// readUnshared is readOnce without other callers to share the call with.
func readUnshared[T any](ctx context.Context, s *Store, key string, f readFunc[T]) (T, error) {
	v, err := s.lead(ctx, key, func(ctx context.Context, n *topology.Node, q redisstream.Querier) (any, error) { return f(ctx, n, q) })
	switch {
	case err == nil:
		s.countRead("read")
	case errors.Is(err, errNowCached):
		s.countRead("shared")
	case errors.Is(err, errRefused):
		s.countRead("refused")
	case ctx.Err() != nil && s.ctx.Err() == nil: // nobody waits for it any longer
	default:
		s.countRead("error")
		s.metrics.RedisErrors.WithLabelValues(rediserr.Kind(err)).Inc()
		if err = unavailable(err); resp.IsWrongType(err) {
			err = ErrWrongType
		}
	}
	got, _ := v.(T)
	return got, err
}

// lead runs f when there is room for another read from the node that has the
// key. A node that is known to be away is not asked: it would only hold up those
// that want to read from it when it is back.
func (s *Store) lead(ctx context.Context, key string, f readFunc[any]) (any, error) {
	node, err := s.topo.NodeOf(key)
	if err != nil {
		return nil, err
	}
	if node.Stalled() {
		return nil, fmt.Errorf("%w: %s", errRefused, node.Status(time.Now()))
	}
	ctx, cancel := context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	if err := node.HistoryReads.Acquire(ctx, 1); err != nil {
		if s.ctx.Err() != nil {
			return nil, ErrClosed
		}
		return nil, fmt.Errorf("%w: too many are under way", errRefused)
	}
	defer node.HistoryReads.Release(1)
	s.metrics.HistoryInFlight.Inc()
	defer s.metrics.HistoryInFlight.Dec()
	return retryWhileAlive(ctx, func() bool { return node.Alive(time.Now()) }, func() (any, error) {
		q, err := node.Querier(ctx)
		if err != nil {
			return nil, err
		}
		return f(ctx, node, q)
	})
}

// retryWhileAlive calls f, again if it finds no connection to a Redis that is
// there.
func retryWhileAlive(ctx context.Context, alive func() bool, f func() (any, error)) (any, error) {
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

// readState reads what the stream of a channel is, once for all that ask at the same
// time. A key that is no stream gives ErrWrongType.
func (s *Store) readState(ctx context.Context, channel, key string) (streamState, error) {
	return readOnce(ctx, s, want{key: key}, s.stateReader(channel, key))
}

// stateReader returns what reads the state of the stream of a channel.
//
// If a replica does not have the stream, the master is asked: a stream that is
// only on its way to another node of the cluster would be replayed as new. If the
// master cannot be asked, the replica's word counts.
func (s *Store) stateReader(channel, key string) readFunc[streamState] {
	read := func(ctx context.Context, q redisstream.Querier) (state streamState, err error) {
		state.at = time.Now()
		entry := redisstream.EntryReader{MaxEntry: s.cfg.MaxEventBytes, Each: func(e redisstream.Entry) {
			state.ended = s.encode(channel, e).End
		}}
		newest := []string{"XREVRANGE", key, "+", "-", "COUNT", "1"}
		state.Info, err = redisstream.ReadSnapshot(ctx, q, key, newest, func(r *resp.Reader) error {
			state.ended = false
			return entry.Read(r)
		})
		return state, err
	}
	return func(ctx context.Context, n *topology.Node, q redisstream.Querier) (streamState, error) {
		state, err := read(ctx, q)
		if err != nil || state.Exists || !s.cfg.ReadReplicas {
			return state, err
		}
		if q, err := n.Master(ctx); err == nil {
			if m, err := read(ctx, q); err == nil {
				return m, nil
			}
		}
		return state, nil
	}
}
