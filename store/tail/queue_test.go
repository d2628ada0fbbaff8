package tail

import (
	"fmt"
	"testing"
	"time"
)

// queueRig is a node that nobody runs, with sources of which some have a
// subscriber. None of them is in a queue.
func queueRig(t *testing.T, subscribed, unused int) (n *Node, inUse, others []*Source) {
	t.Helper()
	n = newTestNode(t)
	for i := range subscribed + unused {
		s := newSource(fmt.Sprint(i))
		n.Add(s)
		if i < subscribed {
			s.Subscribe(&countingWaker{})
			inUse = append(inUse, s)
		} else {
			others = append(others, s)
		}
	}
	for len(n.take(nil, readBatch)) > 0 {
	}
	return n, inUse, others
}

// takeAll takes batch by batch until nothing is left, and returns in which batch
// each source was, counted from 1. It fails if one comes twice.
func takeAll(t *testing.T, n *Node, limit int) map[*Source]int {
	t.Helper()
	at := map[*Source]int{}
	for batch := 1; ; batch++ {
		tasks := n.take(nil, limit)
		if len(tasks) == 0 {
			return at
		}
		for _, task := range tasks {
			if at[task.Source] != 0 {
				t.Errorf("channel %s is read in batch %d and in %d", task.Channel, at[task.Source], batch)
			}
			at[task.Source] = batch
		}
		n.caughtUp(time.Now())
	}
}

// A change is read before the thousands of sources that wait for their
// comparison at the begin of a session.
func TestChangeOvertakesResync(t *testing.T) {
	t.Parallel()
	n, used, _ := queueRig(t, 1000, 0)
	n.enqueueAll(normal, low, readChecked)
	last := n.queues[normal][len(used)-1]
	n.invalidate([]byte(last.Key))
	tasks := n.take(nil, readBatch)
	if tasks[0].Source != last || tasks[0].why != readChecked|readInvalidated {
		t.Errorf("channel %s, reasons %b, comes first", tasks[0].Channel, tasks[0].why)
	}
	if at := takeAll(t, n, readBatch); len(at)+len(tasks) != len(used) || at[last] != 0 {
		t.Errorf("%d and %d sources of %d were read, the changed one again in batch %d", len(tasks), len(at), len(used), at[last])
	}
}

// Sources with subscribers, new ones included, are compared before the others.
func TestUnusedSourcesAreLast(t *testing.T) {
	t.Parallel()
	n, used, unused := queueRig(t, 200, 800)
	n.enqueueAll(normal, low, readChecked)
	came := n.queues[low][len(unused)-1]
	came.Subscribe(&countingWaker{})
	at := takeAll(t, n, 100)
	for _, s := range used {
		if at[s] < 1 || at[s] > 3 {
			t.Errorf("channel %s, which is in use, is read in batch %d", s.Channel, at[s])
		}
	}
	for _, s := range unused {
		if s != came && at[s] < 3 {
			t.Errorf("channel %s, which is not in use, is read in batch %d", s.Channel, at[s])
		}
	}
	if at[came] != 3 {
		t.Errorf("the one with a new subscriber is read in batch %d", at[came])
	}
}

// With more changes than can be read, the sources of lower priority get their
// share, also in the small batches after a time-out.
func TestNoSourceStarves(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 2, 3, 4, readBatch} {
		n, used, unused := queueRig(t, 2*limit, 8)
		n.enqueueAll(normal, low, readChecked)
		busy, quiet := used[:limit], append(used[limit:], unused...)
		left := map[*Source]bool{}
		for _, s := range quiet {
			left[s] = true
		}
		share := max(limit/lowPriorityShare, 1)
		// The busy ones are in the way of the others until they were read once.
		for batch := 0; len(left) > 0; batch++ {
			if batch > (len(used)+len(unused))/share+1 {
				t.Fatalf("batches of %d: %d sources have not been read after %d of them", limit, len(left), batch)
			}
			for _, s := range busy {
				n.enqueue(s, readInvalidated)
			}
			for _, task := range n.take(nil, limit) {
				delete(left, task.Source)
			}
		}
	}
}

// When all that was queued has been read, by way of whichever queue, nothing
// lags.
func TestLagEnds(t *testing.T) {
	t.Parallel()
	n, used, _ := queueRig(t, 3, 0)
	n.enqueueAll(normal, low, readChecked)
	for _, s := range used {
		n.enqueue(s, readInvalidated)
	}
	if n.Lag(time.Now().Add(time.Second)) == 0 {
		t.Error("nothing lags before it is read")
	}
	takeAll(t, n, 3)
	if lag := n.Lag(time.Now().Add(time.Second)); lag != 0 {
		t.Errorf("a lag of %v with nothing to read", lag)
	}
}

// A sweep is no lag: it looks for what nobody knows of.
func TestSweepIsNoLag(t *testing.T) {
	t.Parallel()
	n, _, _ := queueRig(t, 2, 2)
	n.enqueueAll(low, low, readSwept)
	if lag := n.Lag(time.Now().Add(time.Second)); lag != 0 {
		t.Errorf("a lag of %v", lag)
	}
	if at := takeAll(t, n, readBatch); len(at) != 4 {
		t.Errorf("%d of 4 sources are read", len(at))
	}
}

// A source that goes leaves nothing behind: it is not read, and neither is the
// one that comes back under its name read twice.
func TestRemovedSourceIsNotRead(t *testing.T) {
	t.Parallel()
	n, used, _ := queueRig(t, 2, 0)
	for _, s := range used {
		n.enqueue(s, readSwept)
		n.enqueue(s, readInvalidated)
	}
	gone := used[0]
	if !n.Remove(gone) || n.Remove(gone) || gone.Node() != nil {
		t.Fatal("it was not removed once")
	}
	again := newSource(gone.Channel)
	n.Add(again)
	at := takeAll(t, n, 1)
	if len(at) != 2 || at[gone] != 0 || at[again] == 0 {
		t.Errorf("%d sources were read; the removed one in batch %d, the new one in batch %d", len(at), at[gone], at[again])
	}
	gone.Recheck()
	n.invalidate([]byte("sse:nobody"))
	if at := takeAll(t, n, readBatch); len(at) != 0 {
		t.Errorf("%d sources were read that nobody follows", len(at))
	}
}

// Wakers are called until their subscription ends, which a second end does not
// change.
func TestSubscribers(t *testing.T) {
	t.Parallel()
	s := newSource("a")
	wakers := make([]*countingWaker, 4)
	subs := make([]*Subscriber, 4)
	for i := range wakers {
		wakers[i] = &countingWaker{}
		subs[i] = s.Subscribe(wakers[i])
	}
	for _, i := range []int{1, 3, 0} {
		if !s.Unsubscribe(subs[i]) || s.Unsubscribe(subs[i]) {
			t.Error("a subscription did not end once")
		}
		s.wake(true)
	}
	var got [4]int
	for i, w := range wakers {
		got[i] = w.calls
	}
	if want := [4]int{2, 0, 3, 1}; got != want || s.Subscribers() != 1 {
		t.Errorf("%v calls, want %v; %d subscribers", got, want, s.Subscribers())
	}
}
