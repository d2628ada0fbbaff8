package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/sse-gateway/sse-gateway/metrics"
)

const (
	// historyConns bounds the reads of older entries that are under way, and
	// so the connections to Redis, however many clients come back at once.
	historyConns = 8
	// farReaders is how many callers at once may go back over many pages.
	farReaders = 2
	// historyTimeout bounds one read with its wait for a connection. A caller
	// that gets the error tries again; its client sees a stream that is open.
	historyTimeout = 10 * time.Second
)

// page is a stretch of a stream as one atomic look at it found it.
type page struct {
	resumed   ID      // after this the entries follow: the position asked for, or where a gap ends
	gapReason string  // set if resumed is not the position asked for
	entries   []Entry // all there are in (resumed, upTo]
	upTo      ID
	start     ID  // of the stream, as streamInfo has it
	last      ID  // the stream's last-generated-id
	next      int // how many entries to ask for after these
}

// errCovered: the window has what follows the position by now, because another
// read has filled it, or that read is among the recent ones.
var errCovered = errors.New("it was read meanwhile")

// history reads what the windows do not hold. Its methods may be called
// concurrently.
type history struct {
	store   *Store
	client  func() redis.UniversalClient // the one of the moment; a Sentinel failover changes it
	room    *semaphore.Weighted
	far     *semaphore.Weighted // those that go back over many pages; see back
	flights singleflight.Group
	recent  recentPages
}

// do runs f as one of at most historyConns reads. Callers with the same
// flight key share one call, which goes on for the others when the context of
// one ends.
func (h *history) do(ctx context.Context, flights *singleflight.Group, flight string, f func(context.Context) (any, error)) (any, error) {
	m := &h.store.metrics
	led := false
	ch := flights.DoChan(flight, func() (any, error) {
		led = true
		ctx, cancel := context.WithTimeout(h.store.ctx, historyTimeout)
		defer cancel()
		if err := h.room.Acquire(ctx, 1); err != nil {
			m.HistoryReads.WithLabelValues("refused").Inc()
			return nil, fmt.Errorf("%w: no room for a read of history", ErrUnavailable)
		}
		defer h.room.Release(1)
		m.HistoryInFlight.Inc()
		defer m.HistoryInFlight.Dec()
		v, err := h.persist(ctx, f)
		if errors.Is(err, errCovered) {
			m.HistoryReads.WithLabelValues("shared").Inc()
			return nil, err
		}
		if err != nil {
			m.HistoryReads.WithLabelValues("error").Inc()
			m.RedisErrors.WithLabelValues(errorKind(err)).Inc()
			if isWrongType(err) {
				return nil, ErrWrongType
			}
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		m.HistoryReads.WithLabelValues("read").Inc()
		return v, nil
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

const (
	// persistFor is how long a read of history goes on trying while the tail
	// says that Redis is there, and persistGap the wait in between. After an
	// outage go-redis refuses to dial for up to a second, with the error of
	// its last attempt; whoever sees the replica ready must not be refused.
	persistFor = 1500 * time.Millisecond
	persistGap = 100 * time.Millisecond
)

// persist calls f, again if it finds no connection to a Redis that is there.
func (h *history) persist(ctx context.Context, f func(context.Context) (any, error)) (any, error) {
	for start, first := time.Now(), true; ; first = false {
		v, err := f(ctx)
		kind := errorKind(err)
		if first && kind == metrics.RedisClosed && ctx.Err() == nil {
			continue // it broke while it was idle; go-redis repeats no read of this kind
		}
		again := err != nil && (kind == metrics.RedisUnreachable || kind == metrics.RedisClosed) && time.Since(start) < persistFor
		if again {
			again, _ = h.store.Health()
		}
		if !again {
			return v, err
		}
		select {
		case <-time.After(persistGap):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// info looks at a stream. A key that is no stream gives ErrWrongType.
func (h *history) info(ctx context.Context, key string) (streamInfo, error) {
	v, err := h.do(ctx, &h.flights, "info "+key, func(ctx context.Context) (any, error) {
		info, _, err := h.look(ctx, h.client(), key, nil, nil, nil)
		if err == nil && !info.exists {
			info = h.lookForMissing(ctx, key, nil, nil)
		}
		return info, err
	})
	if err != nil {
		return streamInfo{}, err
	}
	return v.(streamInfo), nil
}

// opening looks at the stream of a window that opens. end is its newest entry if
// the channel ends with that, else 0-0.
func (h *history) opening(ctx context.Context, w *window) (info streamInfo, end ID, err error) {
	type found struct {
		info streamInfo
		end  ID
	}
	newest := []any{"XREVRANGE", w.key, "+", "-", "COUNT", "1"}
	v, err := h.do(ctx, &w.flights, "open", func(ctx context.Context) (any, error) {
		var f found
		note := func(e rawEntry) {
			if h.store.encode(w.channel, e).End {
				f.end = e.id
			}
		}
		var err error
		f.info, _, err = h.look(ctx, h.client(), w.key, newest, h.store.keeper(ID{}, nil), note)
		if err == nil && !f.info.exists {
			f.info = h.lookForMissing(ctx, w.key, newest, note)
		}
		return f, err
	})
	if err != nil {
		return streamInfo{}, ID{}, err
	}
	f := v.(found)
	return f.info, f.end, nil
}

// page reads the entries after pos, or after the gap if retention or a reset
// of the stream has passed pos. A read that began before the window entered the
// epoch is not shared: it may be of the stream before the reset. count is how
// many to ask for, unless the page is shared, 0 if nothing is known of them.
func (h *history) page(ctx context.Context, w *window, epoch uint32, pos ID, count int) (*page, error) {
	if p := h.recent.find(w, epoch, pos); p != nil {
		h.store.metrics.HistoryReads.WithLabelValues("shared").Inc()
		return p, nil
	}
	flight := strconv.FormatUint(uint64(epoch), 10) + " " + pos.String()
	v, err := h.do(ctx, &w.flights, flight, func(ctx context.Context) (any, error) { return h.readPage(ctx, w, epoch, pos, count) })
	if err != nil {
		return nil, err
	}
	return v.(*page), nil
}

func (h *history) readPage(ctx context.Context, w *window, epoch uint32, pos ID, count int) (*page, error) {
	v := w.view.Load()
	if v.epoch == epoch && !pos.Less(v.floor) && pos.Less(v.head) && v.knows(pos) || h.recent.find(w, epoch, pos) != nil {
		return nil, errCovered
	}
	if count == 0 {
		count = min(w.pageSize(), firstEntries)
	}
	p, err := h.pageFrom(ctx, h.client(), w, pos, count)
	if err == nil && p.gapReason != "" {
		p, err = h.confirm(ctx, w, pos, p, count)
	}
	if err != nil {
		return nil, err
	}
	h.store.countRead(metrics.SourceHistory, p.entries)
	if !p.isOf(v) {
		return p, nil
	}
	// Whatever is beyond may be lost again before the tail has read it; see until.
	p.entries, p.upTo = p.until(v.head)
	h.recent.add(w, epoch, pos, p)
	c := w.prepend(epoch, p.resumed, p.upTo, p.entries, h.store.cfg.WindowEvents, h.store.budget.share())
	h.store.budget.account(w, c)
	return p, nil
}

// pageFrom reads a page with one client.
func (h *history) pageFrom(ctx context.Context, client redis.UniversalClient, w *window, pos ID, count int) (*page, error) {
	p := &page{resumed: pos, entries: []Entry{}}
	forward := []any{"XRANGE", w.key, pos.Next().String(), "+", "COUNT", strconv.Itoa(count)}
	info, got, err := h.look(ctx, client, w.key, forward, h.store.keeper(ID{}, nil), func(e rawEntry) {
		p.entries = append(p.entries, h.store.encode(w.channel, e))
	})
	if isWrongType(err) { // the stream gave way to something else under its subscribers
		info, got, err = streamInfo{}, reading{}, nil
	}
	if errorKind(err) == metrics.RedisTimeout {
		w.lessPaged()
	}
	if err != nil {
		return nil, err
	}
	learn(&w.avgPage, got)
	p.next = nextPage(count, got)
	p.start, p.last = info.start(), info.last
	n := len(p.entries)
	switch {
	case info.last.Less(pos): // a stream that does not exist has 0-0
		p.resumed, p.gapReason = info.last, metrics.GapReset
	case n > 0 && isOther(pos, p.start):
		p.resumed, p.gapReason = p.entries[0].ID.Prev(), metrics.GapReset
	case n > 0 && info.lostBetween(pos, p.entries[0].ID):
		p.resumed, p.gapReason = p.entries[0].ID.Prev(), metrics.GapTrimmed
	case n == 0 && info.lostBetween(pos, info.last.Next()):
		p.resumed, p.gapReason = info.last, metrics.GapTrimmed
	}
	p.upTo = info.last
	if got.cut || n >= count {
		p.upTo = p.entries[n-1].ID
	}
	return p, nil
}

// lostBetween reports whether entries after pos and before next, which is the
// oldest that the stream has or where its next one would be, may have been
// trimmed.
func (i *streamInfo) lostBetween(pos, next ID) bool {
	if i.first != next && !i.first.IsZero() || pos.Next() == next {
		return false // retention has not passed pos
	}
	if i.added < 0 {
		// Redis before 7.0 does not count. Whoever connected to the empty
		// stream (0-0) gets the benefit of the doubt, everybody else a gap.
		return !pos.IsZero()
	}
	// If nothing was ever removed, nothing was missed.
	return i.added != i.length
}

// look reads, at one moment, what the stream is, and the entries that a command
// returns, of which k keeps the reply. f is called with each entry. A nil command
// reads none.
func (h *history) look(ctx context.Context, client redis.UniversalClient, key string, entries []any, k *keeper, f func(rawEntry)) (streamInfo, reading, error) {
	reply, err := lookAt(ctx, client, key, entries, k)
	if err != nil {
		return streamInfo{}, reading{}, err
	}
	info, err := reply.info.streamInfo()
	if err == nil && info.partial && info.exists {
		err = h.completeInfo(ctx, client, key, &info)
	}
	if err != nil || entries == nil {
		return info, reading{}, err
	}
	got, err := reply.entries.entries(f)
	return info, got, err
}

// completeInfo finds what the embedded server's XINFO STREAM does not tell.
func (h *history) completeInfo(ctx context.Context, client redis.UniversalClient, key string, info *streamInfo) error {
	r, err := rawReply(ctx, client, "XRANGE", key, "-", "+", "COUNT", "1")
	if err != nil {
		return err
	}
	_, err = r.entries(func(e rawEntry) { info.first = e.id })
	return err
}

// back returns the position after which the last n entries of the stream are,
// all of them if there are fewer, and MaxID if there are none.
//
// Redis knows no rank, so it goes back page by page. Each page is a read like
// any other, and few callers do it at once: whoever asks for the last million
// entries, again and again with another number, waits for the like of him and
// not for long in the way of those who resume. It ends with ctx, for what is
// found has no other use.
func (h *history) back(ctx context.Context, w *window, n int) (ID, error) {
	count := w.pageSize()
	if n > count {
		if err := h.far.Acquire(ctx, 1); err != nil {
			return ID{}, err
		}
		defer h.far.Release(1)
	}
	before := MaxID
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return ID{}, err
		}
		count = min(n, count)
		p, err := h.pageBack(ctx, w.key, before, count)
		if err != nil {
			return ID{}, err
		}
		before = p.before
		if n -= p.got.n; p.got.n < count {
			break
		}
		count = nextPage(count, p.got)
	}
	return before, nil
}

// pageBack is a page that was passed on the way back.
type pageBack struct {
	before ID // the position before its oldest entry
	got    reading
}

// pageBack goes back over count entries from id before on.
func (h *history) pageBack(ctx context.Context, key string, before ID, count int) (pageBack, error) {
	flight := "back " + strconv.Itoa(count) + " " + before.String() + " " + key
	v, err := h.do(ctx, &h.flights, flight, func(ctx context.Context) (any, error) {
		p := pageBack{before: before}
		r, err := rawReply(ctx, h.client(), "XREVRANGE", key, before.String(), "-", "COUNT", strconv.Itoa(count))
		if err != nil {
			return nil, err
		}
		p.got, err = r.entries(func(e rawEntry) { p.before = e.id.Prev() })
		return p, err
	})
	if err != nil {
		return pageBack{}, err
	}
	return v.(pageBack), nil
}
