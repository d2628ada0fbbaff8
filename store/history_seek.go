package store

import (
	"context"
	"strconv"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/topology"
)

// longScanReads is how many callers at once may go back over many pages.
const longScanReads = 2

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
func (s *Store) seekBack(ctx context.Context, ch *channel, n int) (ID, error) {
	count := ch.pageEntries()
	if n > count {
		if err := s.longScans.Acquire(ctx, 1); err != nil {
			return ID{}, err
		}
		defer s.longScans.Release(1)
	}
	before := MaxID
	for n > 0 {
		count = min(n, count)
		p, err := s.scanBack(ctx, want{key: ch.source.Key, pos: before, count: count})
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

// scanBack goes back over some entries from one id on.
func (s *Store) scanBack(ctx context.Context, w want) (backPage, error) {
	return readOnce(ctx, s, w, func(ctx context.Context, _ *topology.Node, q redisstream.Querier) (backPage, error) {
		p := backPage{before: w.pos}
		r := &redisstream.EntryReader{Each: func(e redisstream.Entry) { p.before = e.ID.Prev() }}
		args := []string{"XREVRANGE", w.key, w.pos.String(), "-", "COUNT", strconv.Itoa(w.count)}
		err := q.Pipeline(ctx, redisstream.Command{Args: args, Read: r.Read})
		p.entries, p.bytes = r.Seen, r.Bytes
		return p, err
	})
}
