package tail

import (
	"strconv"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// reader reads streams and brings their logs up to date: over the connection of a
// session, which has one, or by way of the master. One goroutine owns it.
type reader struct {
	n      *Node
	can    abilities
	target *Target // of the session; nil if the master is read

	// entries takes all replies with entries, one after the other; those of
	// current now.
	entries *redisstream.EntryReader
	current *read
	room    int // bytes that the replies of a batch may still take
}

func (n *Node) newReader(can abilities, target *Target) *reader {
	rd := &reader{n: n, can: can, target: target}
	rd.entries = &redisstream.EntryReader{MaxEntry: n.cfg.MaxEventBytes, Room: &rd.room, Each: func(e redisstream.Entry) {
		rd.current.entries = append(rd.current.entries, n.cfg.Encode(rd.current.Channel, e))
	}}
	return rd
}

// read is the read of one source that is under way. It begins with the entry at
// the head of the log; see doc.go.
type read struct {
	task
	seen  *eventlog.View    // of the log when the command was made
	known redisstream.Known // of seen
	count int

	entries []eventlog.Entry // of the reply, without the one at the head

	// Of a read with a snapshot.
	reader   redisstream.SnapshotReader
	cmds     []redisstream.Command
	snapshot *redisstream.Snapshot
	err      error // an error reply to one of the commands, or ErrConcurrentChange
}

func newRead(t task) read {
	seen := t.Log.View()
	return read{task: t, seen: seen, known: seen.Known(), count: redisstream.PageEntries(t.Size.Bytes()) + 1}
}

func (r *read) args() []string {
	return []string{"XRANGE", r.Key, r.known.Head.String(), "+", "COUNT", strconv.Itoa(r.count)}
}

// readEntries reads the reply with the entries of r, and appends them to a slice.
func (rd *reader) readEntries(from *resp.Reader, r *read, to []eventlog.Entry) error {
	rd.current, r.entries, rd.entries.Anchor = r, to, r.known.Head
	return rd.entries.Read(from)
}

// more reports whether the stream may have more than the last reply, the one to r.
func (rd *reader) more(r *read) bool { return rd.entries.Cut || rd.entries.Seen >= r.count }

// readBatch reads the tails of all tasks in one go.
func (s *session) readBatch(tasks []task) error {
	defer s.n.cfg.OnBatchEnd()
	// The views must not outlive the batch: their entries may be evicted.
	defer func() { clear(s.reads); clear(s.checks) }()
	s.reads, s.checks = s.reads[:0], s.checks[:0]
	for _, t := range tasks {
		r := newRead(t)
		if t.why&readChecked != 0 || t.why&readInvalidated != 0 && !r.known.HeadExists {
			// What a plain read finds would have to be reconciled anyway.
			s.checks = append(s.checks, r)
			continue
		}
		s.conn.Append(r.args()...)
		s.reads = append(s.reads, r)
	}
	s.room = batchBytes
	if err := s.conn.Flush(); err != nil {
		return err
	}
	for i := range s.reads {
		r := &s.reads[i]
		err := s.readEntries(s.conn.Reader, r, s.scratch[:0])
		if err != nil && !resp.IsReply(err) {
			return err
		}
		if !s.finishRead(r, err) {
			s.checks = append(s.checks, *r)
		}
		clear(r.entries) // the log has its own copies
		s.scratch, r.entries = r.entries[:0], nil
	}
	return s.reconcileAll(s.checks)
}

// finishRead appends what was read. It returns false if the stream has to be
// reconciled first.
func (rd *reader) finishRead(r *read, err error) bool {
	if err != nil {
		return rd.n.failed(r, err)
	}
	reply, more := rd.entries, rd.more(r)
	r.Size.Observe(reply.Seen, reply.Bytes)
	switch {
	case more && len(r.entries) == 0:
		rd.n.enqueue(r.Source, r.why) // the others have taken all the room
		return true
	case r.known.HeadExists && !reply.Found:
		return false // the entry at the head is gone
	case len(r.entries) == 0 && r.why&readInvalidated != 0:
		return false // it was changed, and not by XADD
	case !r.known.HeadExists && (len(r.entries) > 0 || !r.known.Head.IsZero()):
		return false // nothing proves that these follow the head
	}
	rd.commit(r, r.entries, more)
	return true
}

// failed handles an error reply to the read of one stream. It returns false if
// the stream has to be reconciled. The error must not keep the other streams from
// being read: whether the whole server has it, the probe tells.
func (n *Node) failed(r *read, err error) bool {
	if resp.IsWrongType(err) {
		return false
	}
	n.cfg.Metrics.RedisErrors.WithLabelValues(rediserr.Kind(err)).Inc()
	switch first := n.retryLater(r.Source); {
	case !first:
	case resp.IsMoved(err) || resp.IsAsk(err):
		n.server.Changed(err)
	default:
		n.log.Warn("a stream cannot be read", "error", err)
	}
	return true
}

// commit appends entries that follow the head of the read, and keeps the source
// in the queue if there may be more. A source that has moved away is left alone.
func (rd *reader) commit(r *read, entries []eventlog.Entry, more bool) {
	n := rd.n
	if r.node.Load() != n {
		return
	}
	head, events := r.known.Head, len(entries)
	if events > 0 {
		head = entries[events-1].ID
		if entries[0].Kind == eventlog.KindTrimmed {
			events--
		}
	}
	known := r.known.After(head, events, r.snapshot)
	if !r.Log.Append(r.seen, entries, known) { // somebody else was first, who may have seen less
		n.enqueue(r.Source, readChecked)
		return
	}
	eventlog.CountRead(n.cfg.Metrics, metrics.SourceTail, entries)
	if len(entries) > 0 {
		r.wake(true)
	}
	unannounced := false
	n.mu.Lock()
	if r.node.Load() == n {
		r.retry = r.retry && rd.target == nil
		// Any push about it came before the reply; see doc.go.
		unannounced = r.why == readSwept && rd.can.why == nil && events > 0 && r.causes&readInvalidated == 0
	}
	n.mu.Unlock()
	if unannounced {
		n.cfg.Metrics.SweepFinds.Add(float64(events))
		n.log.Warn("the safety sweep found entries that Redis had not announced", "entries", events)
	}
	switch {
	case more:
		n.enqueue(r.Source, readPlain)
	case known.Counts && known.Added < 0 && r.snapshot == nil:
		n.enqueue(r.Source, readChecked) // which finds out
	}
}
