package reactor

import "errors"

// Slot is an owner's place in a Reactor. The zero Slot is none.
type Slot int32

// Reactor watches sockets and deadlines for owners of type T. Open makes it able
// to watch; scheduling needs no Open.
type Reactor[T any] struct {
	poller *poller // nil before Open, and where there is none
	wheel  wheel
	pages  []*[pageSize]entry[T]
	free   Slot // head of the list of free slots, linked by entry.next
}

// entry is the state of one slot.
type entry[T any] struct {
	owner      *T // nil: the slot is free
	due        int64
	prev, next Slot   // in the list of the wheel, or next in the list of free slots
	gen        uint32 // changes with the owner
	fd         int32  // the watched descriptor; -1: none
}

// pageSize is how many slots are allocated at once: 32 KiB. A table that doubled
// would leave up to half of itself unused.
const pageSize = 1024

// New makes a reactor whose clock stands at now.
func New[T any](now int64) *Reactor[T] { return &Reactor[T]{wheel: wheel{start: now}} }

// Open starts to watch. It is not a part of New, because a reactor that is never
// used would leave a goroutine and a descriptor behind. Where the system has no
// epoll, the error is errors.ErrUnsupported; slots can be scheduled all the same.
func (r *Reactor[T]) Open() (err error) {
	r.poller, err = newPoller()
	return err
}

// Close ends the watching. Descriptors that are watched stay open.
func (r *Reactor[T]) Close() {
	if r.poller != nil {
		r.poller.close()
		r.poller = nil
	}
}

// CanWatch reports whether Watch may succeed.
func (r *Reactor[T]) CanWatch() bool { return r.poller != nil }

// Ready returns the channel on which events arrive; nil before Open. Each value
// must be given to Handle.
func (r *Reactor[T]) Ready() <-chan []Event {
	if r.poller == nil {
		return nil
	}
	return r.poller.ready
}

// Add returns a slot for an owner.
func (r *Reactor[T]) Add(owner *T) Slot {
	if r.free == 0 {
		r.grow()
	}
	s := r.free
	e := r.at(s)
	r.free, e.next = e.next, 0
	e.owner, e.fd = owner, -1
	return s
}

// grow adds a page of free slots.
func (r *Reactor[T]) grow() {
	first := Slot(len(r.pages) * pageSize)
	r.pages = append(r.pages, new([pageSize]entry[T]))
	for s := first + pageSize - 1; s >= first && s > 0; s-- { // slot 0 is none
		r.at(s).next, r.free = r.free, s
	}
}

func (r *Reactor[T]) at(s Slot) *entry[T] { return &r.pages[s/pageSize][s%pageSize] }

// Remove frees a slot, which is no longer watched nor scheduled. It must be called
// before a watched descriptor is closed.
func (r *Reactor[T]) Remove(s Slot) {
	r.Unwatch(s)
	r.Cancel(s)
	e := r.at(s)
	e.owner = nil
	e.gen++
	e.next, r.free = r.free, s
}

// errClosed is the error of Watch without Open.
var errClosed = errors.New("the reactor is not open")

// Watch begins to report that the descriptor has something to read. Only changes
// are reported: on each event the descriptor must be read until it would block.
func (r *Reactor[T]) Watch(s Slot, fd int32) error {
	if r.poller == nil {
		return errClosed
	}
	e := r.at(s)
	err := r.poller.add(fd, s, e.gen)
	if err == nil {
		e.fd = fd
	}
	return err
}

// WatchWrites has Handle report the slot, which is watched, also when its socket has
// room again. It is called after each write that the socket did not take whole.
func (r *Reactor[T]) WatchWrites(s Slot) error {
	if r.poller == nil {
		return errClosed
	}
	e := r.at(s)
	return r.poller.addWrites(e.fd, s, e.gen)
}

// Unwatch ends what Watch began.
func (r *Reactor[T]) Unwatch(s Slot) {
	e := r.at(s)
	if e.fd >= 0 && r.poller != nil {
		r.poller.remove(e.fd)
	}
	e.fd = -1
}

// Handle calls f with the owner of each event. f may change any slot.
func (r *Reactor[T]) Handle(events []Event, f func(*T)) {
	for i := range events {
		s, gen := events[i].slot()
		if e := r.at(s); e.owner != nil && e.gen == gen && e.fd >= 0 {
			f(e.owner)
		}
	}
	if r.poller != nil {
		r.poller.handled()
	}
}
