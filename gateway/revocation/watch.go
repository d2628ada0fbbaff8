package revocation

import "time"

// Stream is what a revocation ends.
type Stream interface {
	// Revoke has the stream end soon. It does not block and may be called at any
	// time, also when the stream is over, and more than once.
	Revoke()
}

// Watch is a stream that the list ends when its grant is revoked.
type Watch struct {
	list   *List
	id     Identity
	stream Stream
	// Guarded by list.mu: the neighbours among the watches of the subject (0) and
	// of the token (1).
	next, prev [2]*Watch
}

// keys returns the keys that the watch is listed under; a zero Key is none.
func (id *Identity) keys() [2]Key { return [2]Key{id.Subject, id.Token} }

// Watch has stream ended when its grant is revoked, until Stop. It is false, and
// nothing is watched, if that has happened already; nil and true if nothing can
// revoke the grant.
func (l *List) Watch(id Identity, stream Stream) (w *Watch, ok bool) {
	if id.None() {
		return nil, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.revoked(&id, time.Now()) {
		return nil, false
	}
	w = &Watch{list: l, id: id, stream: stream}
	for i, key := range id.keys() {
		if (key == Key{}) {
			continue
		}
		first := l.watches[key]
		if w.next[i] = first; first != nil {
			first.prev[i] = w
		}
		l.watches[key] = w
	}
	return w, true
}

// Stop ends the watch. It may be called on nil.
func (w *Watch) Stop() {
	if w == nil {
		return
	}
	l := w.list
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, key := range w.id.keys() {
		if (key == Key{}) {
			continue
		}
		if w.next[i] != nil {
			w.next[i].prev[i] = w.prev[i]
		}
		switch {
		case w.prev[i] != nil:
			w.prev[i].next[i] = w.next[i]
		case w.next[i] != nil:
			l.watches[key] = w.next[i]
		default:
			delete(l.watches, key)
		}
	}
}

// concerned returns the streams whose grant a revocation has ended. The caller
// holds mu, and has put the revocation.
func (l *List) concerned(r Revocation, now time.Time) (streams []Stream) {
	for i, key := range [2]Key{r.Subject, r.Token} {
		if (key == Key{}) {
			continue
		}
		for w := l.watches[key]; w != nil; w = w.next[i] {
			if l.revoked(&w.id, now) {
				streams = append(streams, w.stream)
			}
		}
	}
	return streams
}
