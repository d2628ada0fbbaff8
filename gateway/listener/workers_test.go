package listener

import (
	"sync"
	"testing"
)

// A task that waits does not keep those behind it waiting.
func TestWorkersGoAroundTasksThatWait(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var waiting, quick sync.WaitGroup
	p := workers[int]{work: func(_ *worker, i int) {
		if i == 0 {
			quick.Done()
			return
		}
		<-release
		waiting.Done()
	}}
	quick.Add(1)
	waiting.Add(3 * maxWorkers)
	for i := range 3 * maxWorkers {
		p.submit(i + 1)
	}
	p.submit(0)
	quick.Wait()
	close(release)
	waiting.Wait()
}

// No more than maxWorkers tasks run at once that do not wait, and every task runs
// once.
func TestWorkersAreBounded(t *testing.T) {
	t.Parallel()
	const tasks = 20 * maxWorkers
	var mu sync.Mutex
	ran := map[int]int{}
	var done sync.WaitGroup
	done.Add(tasks)
	p := workers[int]{}
	p.work = func(w *worker, i int) {
		defer done.Done()
		p.mu.Lock()
		running := p.running
		p.mu.Unlock()
		if running > maxWorkers {
			t.Errorf("%d workers run", running)
		}
		mu.Lock()
		ran[i]++
		mu.Unlock()
	}
	for i := range tasks {
		p.submit(i)
	}
	done.Wait()
	for i := range tasks {
		if ran[i] != 1 {
			t.Errorf("task %d ran %d times", i, ran[i])
		}
	}
}

// onSlow is called for a task that waits, also if it was slow before it has said so,
// and for no other.
func TestWorkerTellsOfSlowTasks(t *testing.T) {
	t.Parallel()
	slow := make(chan int, 10)
	done := make(chan struct{})
	p := workers[int]{work: func(w *worker, i int) {
		switch i {
		case 0:
			w.onSlow(func() { slow <- i })
			if <-slow != i {
				t.Error("another task is slow")
			}
			w.onSlow(func() { slow <- 10 })
			close(done)
		default:
			w.onSlow(func() { slow <- i })
		}
	}}
	p.submit(0)
	<-done
	if got := <-slow; got != 10 {
		t.Errorf("task %d is slow", got)
	}
}
