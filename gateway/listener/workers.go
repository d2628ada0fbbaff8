package listener

import (
	"sync"
	"time"
)

const (
	// maxWorkers is how many requests are decided at once. While a channel is new
	// to the replica a decision waits for Redis, so there are more than cores; 64
	// in a millisecond are more than a core decides.
	maxWorkers = 64
	// slowDecision is when a decision counts as one that waits for something (a
	// Redis that is far away or frozen, an application that is asked), in which
	// case another worker takes its turn. Others do not wait with it, and the limit
	// of pending connections bounds how many of them there are. One whose decision
	// only has to share the cores is done sooner.
	slowDecision = 10 * time.Millisecond
)

// workers run tasks in the order in which they come, on goroutines that end when
// there is nothing to do. Their methods may be called concurrently.
type workers[T any] struct {
	work func(*worker, T)

	// mu guards the rest. Invariant: while there is a task in queue, running is
	// maxWorkers.
	mu      sync.Mutex
	queue   []T
	running int // workers that are not slow
}

// worker is one goroutine of workers.
type worker struct {
	mu     sync.Mutex // guards the rest, which the timer uses
	isSlow bool       // the task of this moment is slow
	slow   func()     // what is called when it becomes slow; nil: nothing
}

// submit has a worker run a task.
func (p *workers[T]) submit(task T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, task)
	p.fill()
}

// fill starts a worker if there is a task for it and one may run. The caller
// holds mu.
func (p *workers[T]) fill() {
	if len(p.queue) > 0 && p.running < maxWorkers {
		p.running++
		go p.run()
	}
}

// next returns the task that has waited longest. ok is false if there is none:
// the worker must end.
func (p *workers[T]) next() (task T, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		p.queue = nil
		p.running--
		return task, false
	}
	var none T
	task, p.queue[0] = p.queue[0], none
	p.queue = p.queue[1:]
	return task, true
}

// run runs tasks until there is none, or until one of them was slow.
func (p *workers[T]) run() {
	w := &worker{}
	timer := time.AfterFunc(time.Hour, func() {
		w.mu.Lock()
		w.isSlow = true
		if w.slow != nil {
			w.slow()
		}
		w.mu.Unlock()
		p.mu.Lock()
		p.running--
		p.fill()
		p.mu.Unlock()
	})
	for {
		if !timer.Stop() {
			return // its turn was taken by another
		}
		task, ok := p.next()
		if !ok {
			return
		}
		timer.Reset(slowDecision)
		p.work(w, task)
		w.onSlow(nil)
	}
}

// onSlow has f called, at most once, when the task of this moment is slow. f is not
// called any more after onSlow(nil).
func (w *worker) onSlow(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.slow = f; f != nil && w.isSlow {
		f()
	}
}
