package store

import (
	"context"
	"strconv"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/topology"
)

// backPage is a page that was passed on the way back.
type backPage struct {
	before         ID // the position before its oldest entry
	entries, bytes int
}

// seekBack returns the position after which the last n entries of the stream
// are, all of them if there are fewer, and MaxID if there are none.
//
// Redis knows no rank, so it goes back page by page. Each page is a read like
// any other, and few callers do it at once: a client that asks for the last
// million entries, again and again with another number, waits for its like and
// not for long in the way of those who resume.
func (h *history) seekBack(ctx context.Context, ch *channel, n int) (ID, error) {
	count := ch.pageEntries()
	if n > count {
		if err := h.longScans.Acquire(ctx, 1); err != nil {
			return ID{}, err
		}
		defer h.longScans.Release(1)
	}
	before := MaxID
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return ID{}, err
		}
		count = min(n, count)
		p, err := h.scanBack(ctx, ch.source.Key, before, count)
		if err != nil {
			return ID{}, err
		}
		before = p.before
		if n -= p.entries; p.entries < count {
			break
		}
		count = redisstream.NextPage(count, p.entries, p.bytes)
	}
	return before, nil
}

// scanBack goes back over count entries from id before on.
func (h *history) scanBack(ctx context.Context, key string, before ID, count int) (backPage, error) {
	flight := strconv.Itoa(count) + " " + before.String() + " " + key
	return readOnce(ctx, h, key, &h.scans, flight, func(ctx context.Context, n *topology.Node) (backPage, error) {
		q, err := n.Querier(ctx)
		if err != nil {
			return backPage{}, err
		}
		p := backPage{before: before}
		r := &redisstream.EntryReader{Each: func(e redisstream.Entry) { p.before = e.ID.Prev() }}
		err = q.Pipeline(ctx, redisstream.Command{
			Args: []string{"XREVRANGE", key, before.String(), "-", "COUNT", strconv.Itoa(count)}, Read: r.Read,
		})
		p.entries, p.bytes = r.Seen, r.Bytes
		return p, err
	})
}
