package gateway

import "time"

const (
	// wheelTick is how fine parked streams keep time: heartbeats are jittered
	// by seconds.
	wheelTick = 100 * time.Millisecond
	// wheelLate bounds how late a stream is taken from a wheel that is advanced
	// every tick. None is taken too early.
	wheelLate = 2 * wheelTick
	// wheelSlots times wheelTick is one turn of the wheel, longer than the
	// usual wait for a heartbeat.
	wheelSlots = 256
)

// wheel is a hashed timer wheel (Varghese and Lauck, 1987, scheme 6): putting a
// stream in and taking it out cost the same few writes however many there are,
// and nothing is allocated. One goroutine uses it.
type wheel struct {
	start int64 // as all times here, in nanoseconds of the monotonic clock
	now   int64 // the tick up to which everything was taken
	slots [wheelSlots]*stream
}

func newWheel(start int64) *wheel { return &wheel{start: start} }

// tick returns the number of the last tick that is over at t.
func (w *wheel) tick(t int64) int64 { return (t - w.start) / int64(wheelTick) }

// add puts in a stream, which is not in, to be taken by the first advance after
// the tick that due is in: see wheelLate.
func (w *wheel) add(s *stream, due int64) {
	p := &s.parked
	p.due = max(w.tick(due+int64(wheelTick)-1), w.now+1)
	slot := &w.slots[p.due%wheelSlots]
	p.prev, p.next = nil, *slot
	if *slot != nil {
		(*slot).parked.prev = s
	}
	*slot = s
}

// remove takes out a stream that is in.
func (w *wheel) remove(s *stream) {
	p := &s.parked
	if p.next != nil {
		p.next.parked.prev = p.prev
	}
	if p.prev != nil {
		p.prev.parked.next = p.next
	} else {
		w.slots[p.due%wheelSlots] = p.next
	}
	p.prev, p.next = nil, nil
}

// advance takes out the streams that are due at now, and calls f with each.
// f may put that one in again, and touches no other.
func (w *wheel) advance(now int64, f func(*stream)) {
	to := w.tick(now)
	// After a long pause every slot is looked at once, not every tick.
	from := max(w.now+1, to-wheelSlots+1)
	w.now = max(w.now, to)
	for t := from; t <= to; t++ {
		for s := w.slots[t%wheelSlots]; s != nil; {
			next := s.parked.next
			if s.parked.due <= to { // the others are of a later turn
				w.remove(s)
				f(s)
			}
			s = next
		}
	}
}
