package tail

import (
	"cmp"
	"context"
	"strconv"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// reconcileAll compares logs with their streams, each with a snapshot of one
// moment, and brings them up to date.
func (s *session) reconcileAll(reads []read) error {
	for i := range reads {
		s.append(s.commands(&reads[i]))
	}
	if err := s.conn.Flush(); err != nil {
		return err
	}
	// All replies first: the connection has to be free for what may follow.
	for i := range reads {
		r := &reads[i]
		if err := s.takeSnapshot(r, s.replies(r.cmds)); err != nil {
			return err
		}
	}
	for i := range reads {
		if err := s.reconcile(context.Background(), s, &reads[i]); err != nil {
			return err
		}
	}
	return nil
}

func (rd *reader) commands(r *read) []redisstream.Command {
	r.cmds = r.reader.Commands(r.Key, r.args(), func(from *resp.Reader) error { return rd.readEntries(from, r, nil) })
	return r.cmds
}

// takeSnapshot notes what the commands have read. It returns errors of the connection.
func (rd *reader) takeSnapshot(r *read, err error) error {
	info, steady := r.reader.Info()
	r.snapshot = &redisstream.Snapshot{}
	switch reply := rd.entries; {
	case resp.IsReply(err):
		r.err = err
	case err != nil:
		return err
	case !steady:
		r.err = redisstream.ErrConcurrentChange
	default:
		r.Size.Observe(reply.Seen, reply.Bytes)
		*r.snapshot = redisstream.Snapshot{
			Info: info, HeadFound: reply.Found, Entries: len(r.entries), More: rd.more(r), TrimsInside: rd.can.trimsInside,
		}
		if len(r.entries) > 0 {
			r.snapshot.Next = r.entries[0].ID
		}
	}
	return nil
}

// reconcile brings one log up to date by the snapshot of its stream.
func (rd *reader) reconcile(ctx context.Context, q redisstream.Querier, r *read) error {
	n, err, snapshot := rd.n, r.err, r.snapshot
	if err == redisstream.ErrConcurrentChange || err == nil && snapshot.More && len(r.entries) == 0 {
		n.enqueue(r.Source, r.why|readChecked) // in the latter case the others have taken all the room
		return nil
	}
	if err != nil && n.failed(r, err) {
		return nil
	}
	// A key of another type is as good as gone. The error counts once, however
	// often the key is read.
	if was := r.wrongType.Swap(err != nil); err != nil && !was {
		n.cfg.Metrics.RedisErrors.WithLabelValues(rediserr.Kind(err)).Inc()
	}
	outcome, resumed := r.known.Classify(*snapshot)
	if outcome != redisstream.Continues && rd.target != nil && rd.target.Replica {
		n.retryLater(r.Source) // the replica may only be late
		return nil
	}
	switch outcome {
	case redisstream.Continues:
		rd.commit(r, r.entries, snapshot.More)
	case redisstream.Trimmed:
		gap := eventlog.Gap{Channel: r.Channel, After: r.known.Head, Resumed: resumed, Reason: metrics.GapTrimmed}
		e := eventlog.Entry{ID: resumed, Frame: n.cfg.EncodeGap(gap), Kind: eventlog.KindTrimmed}
		rd.commit(r, append([]eventlog.Entry{e}, r.entries...), snapshot.More)
	case redisstream.Vanished:
		n.changed(r, r.Log.Vanish(r.seen))
	case redisstream.Replaced:
		return rd.reset(ctx, q, r)
	}
	return nil
}

// changed wakes the subscribers after a reset. ok is false if somebody else was
// first.
func (n *Node) changed(r *read, ok bool) {
	if ok {
		r.wake(true)
		// The gaps are counted; a flushed database would be a line per channel.
		n.log.Debug("a stream was deleted, replaced, or failed over to an older copy")
	}
	n.enqueue(r.Source, readChecked)
}

// reset takes the log back to where the stream and it agree.
func (rd *reader) reset(ctx context.Context, q redisstream.Querier, r *read) error {
	to, exists, err := lastCommonID(ctx, q, r)
	if err != nil || r.node.Load() != rd.n {
		return err
	}
	known := redisstream.Known{HeadExists: exists, First: r.snapshot.Info.First, Added: -1, Removed: -1, Counts: r.known.Counts}
	if to.IsZero() {
		known.Added = 0
	}
	rd.n.changed(r, r.Log.Reset(r.seen, to, known))
	return nil
}

// lastCommonID returns the last position that the log and the stream share: the
// newest entry that both have. exists tells that the stream has an entry there. If
// the stream is another one altogether that is 0-0, so that all of it is delivered.
func lastCommonID(ctx context.Context, q redisstream.Querier, r *read) (to redisstream.ID, exists bool, err error) {
	if r.known.Gone {
		return redisstream.ID{}, false, nil // of the stream before this one nothing is left
	}
	view, info := r.Log.View(), r.snapshot.Info
	last := redisstream.Min(info.Last, r.known.Head)
	count := redisstream.PageEntries(r.Size.Bytes())
	for before := last; !before.Less(view.Floor()); {
		reply := &redisstream.EntryReader{Each: func(e redisstream.Entry) {
			if !exists && view.Has(e.ID) {
				to, exists = e.ID, true
			}
			before = e.ID.Prev()
		}}
		err := q.Pipeline(ctx, redisstream.Command{
			Args: []string{"XREVRANGE", r.Key, before.String(), view.Floor().String(), "COUNT", strconv.Itoa(count)}, Read: reply.Read,
		})
		if err != nil || exists {
			return to, exists, err
		}
		if reply.Seen < count || before.IsZero() {
			break
		}
	}
	// It is not in the log. A copy of the stream still has the entry that was
	// the first when it was last looked at; a new stream under the old name has
	// not, and nothing of it was ever delivered.
	first := r.known.First
	if first.IsZero() || info.Last.Less(first) {
		return redisstream.ID{}, false, nil
	}
	var reply redisstream.EntryReader
	err = q.Pipeline(ctx, redisstream.Command{Args: []string{"XRANGE", r.Key, first.String(), first.String()}, Read: reply.Read})
	if err != nil || reply.Seen == 0 {
		return redisstream.ID{}, false, err
	}
	return redisstream.Min(last, view.Floor()), false, nil
}

// Pipeline is of redisstream.Querier, for the session's server.
func (s *session) Pipeline(_ context.Context, cmds ...redisstream.Command) error {
	s.append(cmds)
	if err := s.conn.Flush(); err != nil {
		return err
	}
	return s.replies(cmds)
}

func (s *session) append(cmds []redisstream.Command) {
	for _, c := range cmds {
		s.conn.Append(c.Args...)
	}
}

// replies has the replies to the commands read. The error is that of the
// connection, or else the first of the commands' own.
func (s *session) replies(cmds []redisstream.Command) (own error) {
	for _, c := range cmds {
		err := c.Read(s.conn.Reader)
		if err != nil && !resp.IsReply(err) {
			return err
		}
		own = cmp.Or(own, err)
	}
	return own
}
