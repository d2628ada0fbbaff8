package store

import (
	"time"
)

// receiveRounds is how many rounds of reads follow from one piece of news
// before the next is looked at; what is left is for loop.
const receiveRounds = 4

// receive takes invalidations until the connection breaks or is closed, and
// reads what has changed: the way from the news to the event is one goroutine's.
func (s *session) receive() {
	defer close(s.over)
	tasks := make([]task, 0, readBatch)
	for {
		err := s.listen()
		for round := 0; err == nil && round < receiveRounds; round++ {
			if tasks, err = s.round(tasks); len(tasks) == 0 {
				break
			}
		}
		if err != nil {
			s.broken <- err
			return
		}
		s.n.leftover()
	}
}

// listen waits for news and takes note of all that there is.
func (s *session) listen() error {
	for {
		raw, err := s.told.reply()
		if err != nil {
			return err
		}
		if err := s.heard(raw); err != nil {
			return err
		}
		if !s.told.buffered() {
			return nil
		}
	}
}

// heard takes note of a message: the keys that have changed, or an answer.
func (s *session) heard(raw []byte) error {
	r := respReader{raw}
	n, err := r.array()
	if err != nil {
		return err
	}
	kind, err := r.scalar()
	if err != nil {
		return err
	}
	switch {
	case string(kind) == "pong":
		s.pong.Store(time.Now())
		return nil
	case string(kind) != "message" || n != 3:
		return nil
	}
	if err := r.skip(); err != nil { // the name of the channel
		return err
	}
	n, err = r.array()
	if n < 0 && err == nil {
		s.n.log.Info("a database was flushed") // which invalidates nil
		s.n.enqueueAll(readInvalidated)
		return nil
	}
	for ; n > 0 && err == nil; n-- {
		var key []byte
		if key, err = r.scalar(); err == nil {
			s.n.invalidate(key)
		}
	}
	return err
}

// round reads what is queued, up to a batch, and returns what that was. Both
// receive and loop call it.
func (s *session) round(tasks []task) ([]task, error) {
	n := s.n
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.stalled.Load() {
		// Whoever was told that Redis is away is told first that it is back, by
		// the next probe.
		return tasks[:0], nil
	}
	if tasks = n.take(tasks[:0], n.batch); len(tasks) == 0 {
		return tasks, nil
	}
	now := time.Now()
	if err := s.readAll(tasks); err != nil {
		n.askForLess(tasks, err)
		return tasks, err
	}
	n.caughtUp(now)
	n.batch = min(2*n.batch, readBatch)
	return tasks, nil
}
