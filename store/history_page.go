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
	"github.com/sse-gateway/sse-gateway/store/tail"
	"github.com/sse-gateway/sse-gateway/store/topology"
)

// firstEntries is the most that a cursor's first page asks for. Little is known
// of the entries there, and Redis has to put all of them into the reply. Whoever
// was away for a moment has missed fewer.
const firstEntries = 128

// reader returns a reader for entries that are to be encoded.
func (h *history) reader(each func(redisstream.Entry)) *redisstream.EntryReader {
	return &redisstream.EntryReader{Limits: redisstream.ReplyLimits(h.store.cfg.MaxEventBytes), Each: each}
}

// page reads the entries after a cursor, or after the gap if retention or a
// reset of the stream has passed its position. A read that began before the log
// entered its epoch is not shared: it may be of the stream before the reset.
func (h *history) page(ctx context.Context, ch *channel, c *eventlog.Cursor) (*eventlog.Page, error) {
	log, pos, epoch, count := ch.source.Log, c.Pos(), c.Epoch(), int(c.Hint)
	if p := h.pages.Find(log, epoch, pos); p != nil {
		h.store.metrics.HistoryReads.WithLabelValues("shared").Inc()
		return p, nil
	}
	flight := strconv.FormatUint(uint64(epoch), 10) + " " + pos.String()
	return readOnce(ctx, h, ch.source.Key, &ch.reads, flight, func(ctx context.Context, n *topology.Node) (*eventlog.Page, error) {
		return h.readPage(ctx, n, ch, epoch, pos, count)
	})
}

func (h *history) readPage(ctx context.Context, n *topology.Node, ch *channel, epoch uint32, pos ID, count int) (*eventlog.Page, error) {
	log := ch.source.Log
	view := log.View()
	if view.Epoch() == epoch && view.Covers(pos) || h.pages.Find(log, epoch, pos) != nil {
		return nil, errNowCached
	}
	if count == 0 {
		count = min(ch.pageEntries(), firstEntries)
	}
	q, err := n.Querier(ctx)
	if err != nil {
		return nil, err
	}
	p, err := h.pageFrom(ctx, q, ch, pos, count)
	if err == nil && p.GapReason != "" && h.store.cfg.ReadReplicas {
		// A replica that tells of a gap may only be behind, or the key on its way
		// to another node of the cluster. While the master cannot be asked, the
		// position stays, and nobody is told of a loss.
		if q, err = n.Master(ctx); err == nil {
			p, err = h.pageFrom(ctx, q, ch, pos, count)
		}
	}
	if err != nil {
		return nil, err
	}
	tail.CountEvents(&h.store.metrics, metrics.SourceHistory, p.Entries)
	if view.Accept(p) {
		h.pages.Add(log, epoch, pos, p, time.Now())
		log.Prepend(epoch, p)
	}
	return p, nil
}

// pageFrom reads a page from one server.
func (h *history) pageFrom(ctx context.Context, q redisstream.Querier, ch *channel, pos ID, count int) (*eventlog.Page, error) {
	p := &eventlog.Page{Resumed: pos}
	key := ch.source.Key
	args := []string{"XRANGE", key, pos.Next().String(), "+", "COUNT", strconv.Itoa(count)}
	reply := h.reader(func(e redisstream.Entry) { p.Entries = append(p.Entries, h.store.encode(ch.name, e)) })
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
