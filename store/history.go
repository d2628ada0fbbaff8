package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/goredis"
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
	// firstEntries is the most that a cursor's first page asks for. Of the
	// entries there little is known, and Redis has to put all of them into the
	// reply. Whoever was away for a moment has missed fewer.
	firstEntries = 128
	// pageCacheTTL is how long at least a page that was read is kept. Clients
	// that were cut off by the same fault come back within that time of each
	// other, give or take the spread of their retry.
	pageCacheTTL = time.Second
	// pageCacheShare is the part of the logs' memory that kept pages may have on
	// top of it, as a divisor.
	pageCacheShare = 16
)

// errNowCached: the log has what follows the position by now, because another
// read has filled it, or the page is cached.
var errNowCached = errors.New("it was read meanwhile")

// unavailable is err as an ErrUnavailable.
func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// history reads what the logs do not hold. Its methods may be called
// concurrently.
type history struct {
	store     *Store
	topo      topology.Topology
	longScans *semaphore.Weighted
	reads     singleflight.Group // but pages
	pages     *eventlog.PageCache
}

func newHistory(s *Store) *history {
	return &history{
		store: s, topo: s.topo, longScans: semaphore.NewWeighted(longScanReads),
		pages: eventlog.NewPageCache(s.cfg.WindowMemory/pageCacheShare, cmp.Or(s.cfg.keepPages, pageCacheTTL)),
	}
}

// do runs f as one of the reads of history from the node that has a key. Callers
// with the same flight share one call, which goes on for the others when the
// context of one ends.
func (h *history) do(ctx context.Context, key string, flights *singleflight.Group, flight string, f func(context.Context) (any, error)) (any, error) {
	m := &h.store.metrics
	led := false
	ch := flights.DoChan(flight, func() (any, error) {
		led = true
		v, err := h.lead(key, f)
		switch {
		case errors.Is(err, errNowCached):
			m.HistoryReads.WithLabelValues("shared").Inc()
		case errors.Is(err, errRefused):
			m.HistoryReads.WithLabelValues("refused").Inc()
		case err != nil:
			m.HistoryReads.WithLabelValues("error").Inc()
			m.RedisErrors.WithLabelValues(rediserr.Kind(err)).Inc()
			if resp.IsWrongType(err) {
				return nil, ErrWrongType
			}
			return nil, unavailable(err)
		default:
			m.HistoryReads.WithLabelValues("read").Inc()
		}
		return v, err
	})
	select {
	case r := <-ch:
		if !led && r.Err == nil {
			m.HistoryReads.WithLabelValues("shared").Inc()
		}
		return r.Val, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// errRefused is a read that was not begun.
var errRefused = fmt.Errorf("%w: no read of history", ErrUnavailable)

// lead runs f when there is room for another read from the node that has the
// key. A node that is known to be away is not asked: it would only hold up those
// that want to read from it when it is back.
func (h *history) lead(key string, f func(context.Context) (any, error)) (any, error) {
	node, err := h.topo.NodeOf(key)
	if err != nil {
		return nil, err
	}
	if now := time.Now(); node.Stalled() {
		return nil, fmt.Errorf("%w: %s", errRefused, node.Status(now))
	}
	ctx, cancel := context.WithTimeout(h.store.ctx, historyTimeout)
	defer cancel()
	if err := node.HistoryReads.Acquire(ctx, 1); err != nil {
		if h.store.ctx.Err() != nil {
			return nil, ErrClosed
		}
		return nil, fmt.Errorf("%w: too many are under way", errRefused)
	}
	defer node.HistoryReads.Release(1)
	h.store.metrics.HistoryInFlight.Inc()
	defer h.store.metrics.HistoryInFlight.Dec()
	return retryWhileAlive(ctx, func() bool { return node.Alive(time.Now()) }, f)
}

const (
	// retryFor is how long a read of history is repeated while the tail says
	// that Redis is there, and retryGap the wait in between. After an outage
	// go-redis refuses to dial for up to a second, with the error of its last
	// attempt; a client that sees the replica ready must not be refused.
	retryFor = 1500 * time.Millisecond
	retryGap = 100 * time.Millisecond
)

// retryWhileAlive calls f, again if it finds no connection to a Redis that is
// there.
func retryWhileAlive(ctx context.Context, alive func() bool, f func(context.Context) (any, error)) (any, error) {
	for start, first := time.Now(), true; ; first = false {
		v, err := f(ctx)
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
			return nil, err
		}
	}
}

// opening reads what the stream of a channel is that opens. ended tells that the
// channel ends with its newest entry.
func (h *history) opening(ctx context.Context, ch *channel, key string) (info redisstream.Info, ended bool, err error) {
	type state struct {
		redisstream.Info
		ended bool
	}
	v, err := h.do(ctx, key, &ch.reads, "open", func(ctx context.Context) (any, error) {
		var s state
		newest := []string{"XREVRANGE", key, "+", "-", "COUNT", "1"}
		newReader := func() *redisstream.EntryReader {
			s.ended = false
			return h.reader(func(e redisstream.Entry) { s.ended = h.store.encode(ch.name, e).End })
		}
		err := h.ask(ctx, func(ctx context.Context, q redisstream.Querier) (err error) {
			s.Info, _, err = redisstream.ReadSnapshot(ctx, q, key, newest, newReader)
			return err
		}, func() bool { return !s.Exists })
		return s, err
	})
	if err != nil {
		return redisstream.Info{}, false, err
	}
	s := v.(state)
	return s.Info, s.ended, nil
}

// info reads what a stream is. A key that is no stream gives ErrWrongType.
func (h *history) info(ctx context.Context, ch *channel) (redisstream.Info, error) {
	info, _, err := h.infoAt(ctx, ch)
	return info, err
}

// newest reads the last id that a stream had, zero if there is no stream, and returns
// when the read began.
func (h *history) newest(ctx context.Context, ch *channel) (ID, time.Time, error) {
	info, at, err := h.infoAt(ctx, ch)
	return info.Last, at, err
}

// infoAt is info, and returns when the read began: before the call, if another
// caller has begun it.
func (h *history) infoAt(ctx context.Context, ch *channel) (redisstream.Info, time.Time, error) {
	type answer struct {
		redisstream.Info
		at time.Time
	}
	key := ch.source.Key
	v, err := h.do(ctx, key, &h.reads, "info "+key, func(ctx context.Context) (any, error) {
		a := answer{at: time.Now()}
		err := h.ask(ctx, func(ctx context.Context, q redisstream.Querier) (err error) {
			a.Info, _, err = redisstream.ReadSnapshot(ctx, q, key, nil, nil)
			return err
		}, func() bool { return !a.Exists })
		return a, err
	})
	if err != nil {
		return redisstream.Info{}, time.Time{}, err
	}
	a := v.(answer)
	return a.Info, a.at, nil
}

// ask reads from the server that the tail follows, and from the master if that
// is another one and the answer is doubtful: the replica does not have the
// stream. To take it for one without entries would replay all of it as new, if
// it were only on its way to another node of the cluster. If the master cannot
// be asked, the replica's word counts.
func (h *history) ask(ctx context.Context, read func(context.Context, redisstream.Querier) error, doubtful func() bool) error {
	client, err := h.topo.Client(ctx)
	if err != nil {
		return err
	}
	if err := read(ctx, goredis.Querier{Client: client}); err != nil || !doubtful() {
		return err
	}
	if master, err := h.topo.Master(ctx); err == nil && master != nil {
		_ = read(ctx, goredis.Querier{Client: master})
	}
	return nil
}
