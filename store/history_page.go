package store

import (
	"context"
	"strconv"
	"time"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/resp"
	"github.com/sse-gateway/sse-gateway/store/topology"
)

// firstEntries is the most that a cursor's first page asks for. Little is known
// of the entries there, and Redis has to put all of them into the reply. Whoever
// was away for a moment has missed fewer.
const firstEntries = 128

// readPage reads the entries after a cursor, or after the gap if retention or a
// reset of the stream has passed its position.
func (s *Store) readPage(ctx context.Context, ch *channel, c *eventlog.Cursor) (*eventlog.Page, error) {
	log, pos, epoch, count := ch.source.Log, c.Pos(), c.Epoch(), int(c.Hint)
	if p := s.pages.Find(log, epoch, pos); p != nil {
		s.countRead("shared")
		return p, nil
	}
	w := want{key: ch.source.Key, log: log, epoch: epoch, pos: pos}
	return readOnce(ctx, s, w, func(ctx context.Context, n *topology.Node, q redisstream.Querier) (*eventlog.Page, error) {
		view := log.View()
		if view.Epoch() == epoch && view.Covers(pos) || s.pages.Find(log, epoch, pos) != nil {
			return nil, errNowCached
		}
		if count == 0 {
			count = min(ch.pageEntries(), firstEntries)
		}
		p, err := s.pageFrom(ctx, q, ch, pos, count)
		if err == nil && p.GapReason != "" && s.cfg.ReadReplicas {
			// The replica may only be behind, or the key on its way to another node of
			// the cluster. While the master cannot be asked, the position stays, and
			// nobody is told of a loss.
			if q, err = n.Master(ctx); err == nil {
				p, err = s.pageFrom(ctx, q, ch, pos, count)
			}
		}
		if err != nil {
			return nil, err
		}
		eventlog.CountRead(&s.metrics, metrics.SourceHistory, p.Entries)
		if view.Accept(p) {
			s.pages.Add(log, epoch, pos, p, time.Now())
			log.Prepend(epoch, p)
		}
		return p, nil
	})
}

// pageFrom reads a page from one server.
func (s *Store) pageFrom(ctx context.Context, q redisstream.Querier, ch *channel, pos ID, count int) (*eventlog.Page, error) {
	p := &eventlog.Page{Resumed: pos}
	key := ch.source.Key
	args := []string{"XRANGE", key, pos.Next().String(), "+", "COUNT", strconv.Itoa(count)}
	reply := redisstream.EntryReader{MaxEntry: s.cfg.MaxEventBytes, Each: func(e redisstream.Entry) {
		p.Entries = append(p.Entries, s.encode(ch.name, e))
	}}
	info, err := redisstream.ReadSnapshot(ctx, q, key, args, func(r *resp.Reader) error {
		p.Entries = []Entry{}
		return reply.Read(r)
	})
	if resp.IsWrongType(err) { // the stream gave way to something else under its subscribers
		info, err = redisstream.Info{}, nil
	}
	if rediserr.Kind(err) == metrics.RedisTimeout {
		ch.pages.Enlarge(ch.source.Size.Bytes())
	}
	if err != nil {
		return nil, err
	}
	ch.pages.Observe(reply.Seen, reply.Bytes)
	p.Next = redisstream.NextPage(count, reply.Seen, reply.Bytes)
	p.Start, p.Last = info.Start(), info.Last
	n := len(p.Entries)
	switch {
	case info.Last.Less(pos): // a stream that does not exist has 0-0
		p.Resumed, p.GapReason = info.Last, metrics.GapReset
	case n > 0 && redisstream.Predates(pos, p.Start):
		p.Resumed, p.GapReason = p.Entries[0].ID.Prev(), metrics.GapReset
	case n > 0 && info.LostBetween(pos, p.Entries[0].ID):
		p.Resumed, p.GapReason = p.Entries[0].ID.Prev(), metrics.GapTrimmed
	case n == 0 && info.LostBetween(pos, info.Last.Next()):
		p.Resumed, p.GapReason = info.Last, metrics.GapTrimmed
	}
	p.UpTo = info.Last
	if reply.Cut || n >= count {
		p.UpTo = p.Entries[n-1].ID
	}
	return p, nil
}
