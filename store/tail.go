package store

import (
	"errors"
	"strconv"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// tailRead is a read of the tail of one stream.
//
// It begins with the entry at the window's head, which is already known, if
// that was there before. Finding it again proves, in the same atomic read,
// that the stream is the one it was and that nothing after the head was
// trimmed; otherwise check finds out what happened. An XREAD after the head
// would pass over both in silence.
type tailRead struct {
	task
	head     ID
	epoch    uint32
	anchored bool // the entry at head is part of the read
	from     ID
	count    int
	queued   [2][]byte // of a check: the replies to what was put into the transaction
	raw      []byte    // of a check: the reply
}

func (w *window) tailRead(t task) tailRead {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.view.Load()
	r := tailRead{task: t, head: v.head, epoch: v.epoch, anchored: w.anchored, count: w.tailCount()}
	if r.from = r.head.Next(); r.anchored {
		r.from = r.head
		r.count++
	}
	return r
}

// include makes the entry at the head, if there is one, part of the read.
func (r *tailRead) include() {
	if r.from != r.head && !r.head.IsZero() {
		r.from = r.head
		r.count++
	}
}

// keeper is one for the read's reply. The entry at the head is known.
func (r *tailRead) keeper(s *Store, room *int) *keeper {
	if r.from == r.head {
		return s.keeper(r.head, room)
	}
	return s.keeper(ID{}, room)
}

func (r *tailRead) args() []string {
	return []string{"XRANGE", r.w.key, r.from.String(), "+", "COUNT", strconv.Itoa(r.count)}
}

// readAll reads the tails of all tasks in one go. The caller holds mu.
func (s *session) readAll(tasks []task) error {
	defer s.n.store.roundOver()
	var checks []tailRead
	reads := make([]tailRead, 0, len(tasks))
	for _, t := range tasks {
		r := t.w.tailRead(t)
		if t.why&readChecked != 0 || t.why&readInvalidated != 0 && !r.anchored {
			// What a plain read finds would have to be checked anyway.
			checks = append(checks, r)
			continue
		}
		s.asks.command(r.args()...)
		reads = append(reads, r)
	}
	if len(reads) > 0 {
		if err := s.asks.send(); err != nil {
			return err
		}
	}
	room := roundBytes
	for i := range reads {
		k := reads[i].keeper(s.n.store, &room)
		k.b = s.kept[:0]
		if err := s.asks.replyTo(k); err != nil {
			return err
		}
		ok, err := s.finishRead(&reads[i], k.b)
		if s.kept = k.b; cap(s.kept) > wireKept {
			s.kept = nil
		}
		if err != nil {
			return err
		}
		if !ok {
			checks = append(checks, reads[i])
		}
	}
	return s.checkAll(checks)
}

// finishRead appends what was read. ok is false if the stream has to be
// checked first.
func (s *session) finishRead(r *tailRead, raw []byte) (ok bool, err error) {
	entries, found, full, err := s.parse(r, raw)
	if err != nil {
		return s.failed(r, err)
	}
	switch {
	case full && len(entries) == 0:
		s.n.enqueue(r.w, r.why) // the others have taken all the room
		return true, nil
	case r.anchored && !found:
		return false, nil // the entry at the head is gone
	case len(entries) == 0 && r.why&readInvalidated != 0:
		return false, nil // it was changed, and not by XADD
	case !r.anchored && (len(entries) > 0 || !r.head.IsZero()):
		return false, nil // nothing proves that these follow the head
	}
	s.commit(r, entries, full, nil)
	return true, nil
}

// failed handles an error reply to the read of one stream; ok is false if the
// stream has to be checked. It is the trouble of this key, and must not keep
// the others from being read: whether the whole server has it too, the probe
// tells.
func (s *session) failed(r *tailRead, err error) (ok bool, _ error) {
	var reply respError
	switch {
	case !errors.As(err, &reply):
		return true, err
	case isWrongType(err):
		return false, nil
	}
	s.n.store.metrics.RedisErrors.WithLabelValues(errorKind(err)).Inc()
	if isMoved(err) {
		s.n.store.topo.moved(r.w, err)
	} else {
		s.n.postpone(r.w, err)
	}
	return true, nil
}

// parse reads the entries of an XRANGE reply. found tells that the one at the
// head was the first of them, and it is not among the entries returned; full,
// that there may be more.
func (s *session) parse(r *tailRead, raw []byte) (entries []Entry, found, full bool, err error) {
	reader := respReader{raw}
	got, err := reader.entries(func(e rawEntry) {
		if e.id == r.head {
			found = true
			return
		}
		entries = append(entries, s.n.store.encode(r.w.channel, e))
	})
	learn(&r.w.avgSize, got)
	return entries, found, got.cut || got.seen >= r.count, err
}

// commit appends entries that follow the head of the read, and keeps the
// window in the queue if there may be more. look, if not nil, is the check
// that the entries come from.
func (s *session) commit(r *tailRead, entries []Entry, full bool, look *stretch) {
	w, st := r.w, s.n.store
	w.mu.Lock()
	if !s.mayChange(r) {
		w.mu.Unlock()
		return
	}
	events := len(entries)
	if events > 0 && entries[0].Kind == KindTrimmed {
		events--
	}
	w.count(events, full, look)
	st.countRead(metrics.SourceTail, entries) // before anybody can have them
	var c change
	if len(entries) > 0 {
		c = w.append(entries, st.cfg.WindowEvents)
		w.anchored = events > 0
	}
	uncounted := w.counts && w.added < 0
	w.mu.Unlock()
	st.budget.account(w, c)
	if r.why == readSwept && s.tracking && events > 0 {
		s.n.suspect(w, events)
	}
	switch {
	case full:
		s.n.enqueue(w, readPlain)
	case uncounted && look == nil:
		s.n.enqueue(w, readChecked) // which finds out
	}
	s.n.recovered(w)
}

// mayChange reports whether the window is still as it was when the read began,
// and this session's to change. If somebody else was here first it is read
// again: they may have seen less. The caller holds the window's mutex.
func (s *session) mayChange(r *tailRead) bool {
	v := r.w.view.Load()
	switch {
	case r.w.closed || r.w.node.Load() != s.n:
		return false
	case v.head != r.head || v.epoch != r.epoch:
		s.n.enqueue(r.w, readChecked)
		return false
	}
	return true
}

// count takes note of what the stream is, after the given number of entries is
// added to the window. The caller holds mu.
func (w *window) count(events int, full bool, look *stretch) {
	if look == nil {
		if w.added >= 0 {
			w.added += int64(events)
		}
		return
	}
	passed := w.view.Load().head.Less(look.info.first)
	w.first, w.anchored, w.counts = look.info.first, look.found, look.info.added >= 0
	switch {
	case !w.counts || !full:
		w.added = look.info.added
	case passed: // the entries are the oldest that the stream has
		w.added = look.info.added - look.info.length + int64(events)
	case w.added >= 0:
		w.added += int64(events)
	}
}
