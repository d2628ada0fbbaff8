package reactor

import "time"

const (
	// Tick is how fine a reactor keeps time. Heartbeats are jittered by seconds.
	Tick = 100 * time.Millisecond
	// MaxLate bounds how late an owner is reported by a reactor that is advanced
	// every Tick. None is reported early.
	MaxLate = 2 * Tick
	// wheelSlots times Tick is one round of the wheel, longer than the usual wait
	// for a heartbeat.
	wheelSlots = 256
)

// wheel is a hashed timer wheel (Varghese and Lauck, 1987, scheme 6): scheduling
// and cancelling cost the same few writes however many there are, and allocate
// nothing. Its lists are linked through the entries of the reactor.
type wheel struct {
	start int64 // when tick 0 began
	now   int64 // the tick up to which everything was reported
	size  int   // how many slots are scheduled
	heads [wheelSlots]Slot
}

// tick returns the number of the last tick that is over at t.
func (w *wheel) tick(t int64) int64 { return (t - w.start) / int64(Tick) }

// Scheduled returns how many slots are scheduled.
func (r *Reactor[T]) Scheduled() int { return r.wheel.size }

// Schedule has the owner reported by the first Advance after the tick that due is
// in; see MaxLate. It replaces what was scheduled before.
func (r *Reactor[T]) Schedule(s Slot, due int64) {
	r.Cancel(s)
	w, e := &r.wheel, r.at(s)
	e.due = max(w.tick(due+int64(Tick)-1), w.now+1)
	head := &w.heads[e.due%wheelSlots]
	e.prev, e.next = 0, *head
	if *head != 0 {
		r.at(*head).prev = s
	}
	*head = s
	w.size++
}

// Cancel ends what Schedule began.
func (r *Reactor[T]) Cancel(s Slot) {
	w, e := &r.wheel, r.at(s)
	if e.due == 0 {
		return
	}
	if e.next != 0 {
		r.at(e.next).prev = e.prev
	}
	if e.prev != 0 {
		r.at(e.prev).next = e.next
	} else {
		w.heads[e.due%wheelSlots] = e.next
	}
	e.prev, e.next, e.due = 0, 0, 0
	w.size--
}

// Advance calls f with each owner that is due at now, which is no longer scheduled
// then. f may schedule or remove that owner, and must not touch another slot.
func (r *Reactor[T]) Advance(now int64, f func(*T)) {
	w := &r.wheel
	to := w.tick(now)
	// After a long pause every list is walked once, not once per tick.
	from := max(w.now+1, to-wheelSlots+1)
	w.now = max(w.now, to)
	for t := from; t <= to; t++ {
		for s := w.heads[t%wheelSlots]; s != 0; {
			e := r.at(s)
			next := e.next
			if e.due <= to { // the others are of a later round
				r.Cancel(s)
				f(e.owner)
			}
			s = next
		}
	}
}
