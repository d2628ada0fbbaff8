package store

import (
	"bytes"
	"context"
	"errors"
	"strconv"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// checkAll compares windows with their streams, each in one atomic look, and
// brings them up to date: by entries, by a gap where retention overtook the
// tail, or by a reset where the stream is not the one it was. The caller holds
// mu.
func (s *session) checkAll(reads []tailRead) error {
	if len(reads) == 0 {
		return nil
	}
	for i := range reads {
		r := &reads[i]
		r.include()
		s.asks.command("MULTI")
		s.asks.command("XINFO", "STREAM", r.w.key)
		s.asks.command(r.args()...)
		s.asks.command("EXEC")
	}
	if err := s.asks.send(); err != nil {
		return err
	}
	// All of them, because the connection has to be free for what may follow.
	room := roundBytes
	for i := range reads {
		r := &reads[i]
		for _, to := range []*[]byte{new([]byte), &r.queued[0], &r.queued[1]} {
			raw, err := s.asks.reply()
			if err != nil {
				return err
			}
			*to = bytes.Clone(raw)
		}
		k := r.keeper(s.n.store, &room)
		k.exec = true
		if err := s.asks.replyTo(k); err != nil {
			return err
		}
		r.raw = k.b
	}
	defer s.asks.rested()
	ctx := s.n.store.ctx // the connection is interrupted when the session ends
	for i := range reads {
		r := &reads[i]
		if err := s.explain(ctx, r); err != nil {
			return err
		}
		if err := s.finishCheck(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// explain replaces the reply of a transaction that failed: a command that was
// refused when it was queued says why.
func (s *session) explain(ctx context.Context, r *tailRead) error {
	for _, raw := range r.queued {
		err := refusal(raw)
		if err == nil {
			continue
		}
		r.raw = raw
		if !isOutOfMemory(err) {
			return nil
		}
		l, err := lookPlainly(ctx, s.conn, r.w.key, anys(r.args()), r.keeper(s.n.store, nil))
		if errors.Is(err, errUnsteady) {
			return nil // read again later
		}
		r.raw = l.array()
		return err
	}
	return nil
}

// readVia checks one window through a client that follows redirections.
func (s *session) readVia(ctx context.Context, w *window) error {
	r := w.tailRead(task{w, readChecked})
	r.include()
	l, err := lookAt(ctx, s.conn, w.key, anys(r.args()), r.keeper(s.n.store, nil))
	if err != nil {
		return err
	}
	r.raw = l.array()
	defer s.n.store.roundOver()
	return s.finishCheck(ctx, &r)
}

// anys is args for go-redis.
func anys(args []string) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = a
	}
	return out
}

func (s *session) finishCheck(ctx context.Context, r *tailRead) error {
	look, err := s.parseLook(ctx, r)
	if err != nil {
		if ok, err := s.failed(r, err); ok || err != nil {
			return err
		}
		look = stretch{} // not a stream any more: as good as gone
	}
	if was := r.w.wrongType.Swap(err != nil); err != nil && !was {
		s.n.store.metrics.RedisErrors.WithLabelValues(errorKind(err)).Inc() // once, however often it is read again
	}
	if look.full && len(look.entries) == 0 {
		s.n.enqueue(r.w, r.why|readChecked) // the others have taken all the room
		return nil
	}
	v := r.verdict(look)
	if v.outcome != follows && !s.certain(r.w) {
		return nil
	}
	switch v.outcome {
	case follows:
		s.settle(r.w)
		s.commit(r, look.entries, look.full, &look)
	case trimmed:
		gap := Gap{Channel: r.w.channel, After: r.head, Resumed: v.resumed, Reason: metrics.GapTrimmed}
		e := Entry{ID: gap.Resumed, Frame: s.n.store.cfg.Encoder.EncodeGap(gap), Kind: KindTrimmed}
		s.commit(r, append([]Entry{e}, look.entries...), look.full, &look)
	case replaced:
		return s.reset(ctx, r, look.info)
	}
	return nil
}

// stretch is a stream, and the entries after a window's head in it, at one
// moment.
type stretch struct {
	info    streamInfo
	entries []Entry
	found   bool // the entry at the head is still there
	full    bool // there may be more entries
}

func (s *session) parseLook(ctx context.Context, r *tailRead) (stretch, error) {
	reader := respReader{r.raw}
	n, err := reader.array()
	if err != nil {
		return stretch{}, err
	}
	if n != 2 {
		return stretch{}, errReply
	}
	var l stretch
	if l.info, err = reader.streamInfo(); err != nil {
		return stretch{}, err
	}
	if l.entries, l.found, l.full, err = s.parse(r, reader.b); err != nil {
		return stretch{}, err
	}
	if l.info.partial && l.info.exists {
		l.info.first, _, err = s.edge(ctx, "XRANGE", r.w.key, ID{}, MaxID)
	}
	return l, err
}

// edge returns the first entry's id that XRANGE, or XREVRANGE, finds between
// two ids.
func (s *session) edge(ctx context.Context, cmd, key string, a, b ID) (id ID, ok bool, err error) {
	reader, err := rawReply(ctx, s.conn, cmd, key, a.String(), b.String(), "COUNT", "1")
	if err != nil {
		return ID{}, false, err
	}
	got, err := reader.entries(func(e rawEntry) { id = e.id })
	return id, got.n > 0, err
}

// outcome is what became of a stream since its window was last in step.
type outcome uint8

const (
	follows  outcome = iota // the entries follow the head, none is missing
	trimmed                 // entries between the head and the first of them were trimmed
	replaced                // it was deleted, restored, or failed over to an older copy
)

type verdict struct {
	outcome outcome
	resumed ID // of trimmed: where the stream goes on
}

// verdict judges the stream by what the window knew of it.
func (r *tailRead) verdict(l stretch) verdict {
	r.w.mu.Lock()
	added := r.w.added
	r.w.mu.Unlock()
	info := l.info
	counted := info.added >= 0 && added >= 0
	switch {
	case info.last.Less(r.head): // a stream that does not exist has 0-0
		return verdict{outcome: replaced}
	case !info.exists:
		return verdict{outcome: follows}
	case counted && info.added < added:
		return verdict{outcome: replaced} // a new stream under the old name
	}
	passed := r.head.Less(info.first) || info.first.IsZero() && r.head.Less(info.last)
	if !passed {
		if r.anchored && !l.found && !info.first.IsZero() && info.added >= 0 && info.deleted.Less(r.head) {
			// The entry at the head is not there, and neither XDEL nor
			// retention explains it: a copy from before it was written.
			return verdict{outcome: replaced}
		}
		return verdict{outcome: follows}
	}
	resumed := info.last
	if len(l.entries) > 0 {
		resumed = l.entries[0].ID.Prev()
	}
	lost := info.first.IsZero() || info.lostBetween(r.head, info.first)
	if counted {
		// The stream has nothing left of what had been added up to the head.
		// What was removed beyond that, was removed after the head; and if
		// less was removed than that, this is another stream.
		removed := info.added - info.length
		if removed < added {
			return verdict{outcome: replaced}
		}
		lost = removed > added
	}
	if !lost || resumed == r.head {
		return verdict{outcome: follows}
	}
	return verdict{trimmed, resumed}
}

// reset takes the window back to where it and the stream agree.
func (s *session) reset(ctx context.Context, r *tailRead, info streamInfo) error {
	to, known, err := s.common(ctx, r, info)
	if err != nil {
		return err
	}
	w := r.w
	w.mu.Lock()
	if !s.mayChange(r) {
		w.mu.Unlock()
		return nil
	}
	c := w.reset(to)
	w.anchored, w.first, w.added = known, info.first, -1
	if to.IsZero() {
		w.added = 0
	}
	w.mu.Unlock()
	s.n.store.budget.account(w, c)
	// The gaps are counted; a flushed database would be a line per channel.
	s.n.log.Debug("a stream was reset: deleted, replaced, or failed over to an older copy")
	s.n.enqueue(w, readChecked)
	return nil
}

// common returns the last position that the window and the stream share;
// known tells that the stream has an entry there. If the stream is another one
// altogether that is 0-0, so that all of it is delivered.
func (s *session) common(ctx context.Context, r *tailRead, info streamInfo) (to ID, known bool, err error) {
	if !info.exists {
		return ID{}, false, nil
	}
	v := r.w.view.Load()
	ours := make(map[ID]bool, len(v.entries)+1)
	ours[v.floor] = true
	for i := range v.entries {
		ours[v.entries[i].ID] = true
	}
	// The two agree up to some entry and differ after it, so the newest entry
	// that both have is the one.
	last := minID(info.last, r.head)
	for before := last; !before.Less(v.floor); {
		reader, err := rawReply(ctx, s.conn, "XREVRANGE", r.w.key, before.String(), v.floor.String(), "COUNT", strconv.Itoa(r.w.tailCount()))
		if err != nil {
			return ID{}, false, err
		}
		got, err := reader.entries(func(e rawEntry) {
			if !known && ours[e.id] {
				to, known = e.id, true
			}
			before = e.id.Prev()
		})
		if err != nil || known {
			return to, known, err
		}
		if got.n < r.w.tailCount() || before.IsZero() {
			break
		}
	}
	// Not in the window. A copy of the stream still has the entry that was the
	// first when the window last looked; a new stream under the old name has
	// not, and nothing of it was ever delivered.
	r.w.mu.Lock()
	first := r.w.first
	r.w.mu.Unlock()
	if first.IsZero() || info.last.Less(first) {
		return ID{}, false, nil
	}
	_, ok, err := s.edge(ctx, "XRANGE", r.w.key, first, first)
	if err != nil || !ok {
		return ID{}, false, err
	}
	return minID(last, v.floor), false, nil
}
