package tail

import (
	"strconv"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/eventlog"
	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// read is the read of one source that is under way.
//
// It begins with the entry at the head of the log, if the stream had that.
// Finding it again proves, in the same atomic read, that the stream is the one
// it was and that nothing after the head was trimmed. An XREAD after the head
// would pass over both in silence.
type read struct {
	task
	seen  *eventlog.View    // of the log when the command was made
	known redisstream.Known // of the view
	from  redisstream.ID
	count int

	entries []eventlog.Entry // of the reply, without the one at the head

	// Of a read by reconcile.
	reader   redisstream.SnapshotReader
	cmds     []redisstream.Command
	snapshot redisstream.Snapshot
	err      error // an error reply to one of the commands, or ErrConcurrentChange
}

func newRead(t task) read {
	seen := t.Log.View()
	r := read{task: t, seen: seen, known: seen.Known(), count: redisstream.PageEntries(t.Size.Bytes())}
	if r.from = r.known.Head.Next(); r.known.HeadExists {
		r.includeHead()
	}
	return r
}

// includeHead makes the entry at the head, if there can be one, part of the
// read.
func (r *read) includeHead() {
	if head := r.known.Head; r.from != head && !head.IsZero() {
		r.from = head
		r.count++
	}
}

func (r *read) args() []string {
	return []string{"XRANGE", r.Key, r.from.String(), "+", "COUNT", strconv.Itoa(r.count)}
}

// readEntries reads the reply with the entries of r, which are appended to a slice.
func (s *session) readEntries(rd *resp.Reader, r *read, to []eventlog.Entry) error {
	s.current, r.entries, s.entries.Anchor = r, to, redisstream.ID{}
	if r.from == r.known.Head {
		s.entries.Anchor = r.from // it is known already
	}
	return s.entries.Read(rd)
}

// readBatch reads the tails of all tasks in one go.
func (s *session) readBatch(tasks []task) error {
	defer s.n.cfg.OnBatchEnd()
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

// finishRead appends what was read, unless err is the reply. It returns false if
// the stream has to be reconciled first.
func (s *session) finishRead(r *read, err error) bool {
	if err != nil {
		return s.n.failed(r, err)
	}
	reply := s.entries
	r.Size.Observe(reply.Seen, reply.Bytes)
	more, known := reply.Cut || reply.Seen >= r.count, r.known
	switch {
	case more && len(r.entries) == 0:
		s.n.enqueue(r.Source, r.why) // the others have taken all the room
		return true
	case known.HeadExists && !reply.Found:
		return false // the entry at the head is gone
	case len(r.entries) == 0 && r.why&readInvalidated != 0:
		return false // it was changed, and not by XADD
	case !known.HeadExists && (len(r.entries) > 0 || !known.Head.IsZero()):
		return false // nothing proves that these follow the head
	}
	s.n.commit(r, r.entries, more, nil, s.can.why == nil)
	return true
}

// failed handles an error reply to the read of one stream. It returns false if
// the stream has to be reconciled. The error is the trouble of this key, and
// must not keep the others from being read: whether the whole server has it
// too, the probe tells.
func (n *Node) failed(r *read, err error) bool {
	if resp.IsWrongType(err) {
		return false
	}
	n.cfg.Metrics.RedisErrors.WithLabelValues(rediserr.Kind(err)).Inc()
	if resp.IsMoved(err) || resp.IsAsk(err) {
		n.askMaster(r.Source)
		n.server.Changed(err)
		return true
	}
	n.mu.Lock()
	first := r.node.Load() == n && !r.failing
	if first {
		r.failing, n.failing = true, true
	}
	n.mu.Unlock()
	if first {
		n.log.Warn("a stream cannot be read", "error", err)
	}
	return true
}

// commit appends entries that follow the head of the read, and keeps the source
// in the queue if there may be more. snapshot is where the entries come from;
// nil for a plain read. A source that has moved away is left alone.
func (n *Node) commit(r *read, entries []eventlog.Entry, more bool, snapshot *redisstream.Snapshot, tracking bool) {
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
	known := r.known.After(head, events, snapshot)
	if len(entries) > 0 {
		known.HeadExists = events > 0
	}
	if !r.Log.Append(r.seen, entries, known) { // somebody else was first, who may have seen less
		n.enqueue(r.Source, readChecked)
		return
	}
	CountEvents(n.cfg.Metrics, metrics.SourceTail, entries)
	if len(entries) > 0 {
		r.wake(true)
	}
	unannounced := false
	n.mu.Lock()
	if r.node.Load() == n {
		r.failing = false
		// Any push about it came before the reply; see doc.go.
		unannounced = r.why == readSwept && tracking && events > 0 && r.causes&readInvalidated == 0
	}
	n.mu.Unlock()
	if unannounced {
		n.cfg.Metrics.SweepFinds.Add(float64(events))
		n.log.Warn("the safety sweep found entries that Redis had not announced", "entries", events)
	}
	switch {
	case more:
		n.enqueue(r.Source, readPlain)
	case known.Counts && known.Added < 0 && snapshot == nil:
		n.enqueue(r.Source, readChecked) // which finds out
	}
}

// CountEvents counts entries that were read and are used, and the event names
// that they lost.
func CountEvents(m *metrics.Store, source string, entries []eventlog.Entry) {
	events, dropped := 0, 0
	for i := range entries {
		if entries[i].Kind != eventlog.KindTrimmed {
			events++
		}
		if entries[i].NameDropped {
			dropped++
		}
	}
	m.EventsRead.WithLabelValues(source).Add(float64(events))
	m.EventNamesDropped.Add(float64(dropped))
}

// retryFailing has the sources read again that Redis answered with an error.
func (n *Node) retryFailing() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.failing {
		return
	}
	n.failing = false
	for _, s := range n.sources {
		if s.failing {
			n.failing = true
			n.enqueueLocked(high, s, readChecked)
		}
	}
}
