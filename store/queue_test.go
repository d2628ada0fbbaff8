package store

import (
	"fmt"
	"testing"
	"time"
)

// queueRig is a node that nobody runs, with windows of its own.
func queueRig(t *testing.T, used, unused int) (n *node, inUse, others []*window) {
	t.Helper()
	s, err := Open(testConfig(t, "redis://127.0.0.1:1")) // never dialled
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	n = s.topo.(*singleTopology).node
	for i := range used + unused {
		w := &window{channel: fmt.Sprint(i), key: fmt.Sprint("sse:", i)}
		w.view.Store(&view{})
		w.node.Store(n)
		s.windows[w.channel] = w
		if i < used {
			w.refs = 1
			inUse = append(inUse, w)
		} else {
			others = append(others, w)
		}
	}
	return n, inUse, others
}

// takeAll takes batch by batch until nothing is left, and returns in which batch
// each window was, counted from 1. It fails if one comes twice.
func takeAll(t *testing.T, n *node, limit int) map[*window]int {
	t.Helper()
	at := map[*window]int{}
	for batch := 1; ; batch++ {
		tasks := n.take(nil, limit)
		if len(tasks) == 0 {
			return at
		}
		for _, task := range tasks {
			if at[task.w] != 0 {
				t.Errorf("channel %s is read in batch %d and in %d", task.w.channel, at[task.w], batch)
			}
			at[task.w] = batch
		}
		n.caughtUp(time.Now())
	}
}

// TestChangeOvertakesResync has an entry announced while thousands of windows
// wait for their comparison at the begin of a session.
func TestChangeOvertakesResync(t *testing.T) {
	n, used, _ := queueRig(t, 1000, 0)
	n.resync()
	last := n.queues[waiting][len(used)-1]
	n.enqueue(last, readInvalidated)
	tasks := n.take(nil, readBatch)
	if tasks[0].w != last || tasks[0].why != readChecked|readInvalidated {
		t.Errorf("channel %s, reasons %b, comes first", tasks[0].w.channel, tasks[0].why)
	}
	if at := takeAll(t, n, readBatch); len(at)+len(tasks) != len(used) || at[last] != 0 {
		t.Errorf("%d and %d windows of %d were read, the changed one again in batch %d", len(tasks), len(at), len(used), at[last])
	}
}

// TestUnusedWindowsAreLast compares the windows that somebody is subscribed to
// before the others, and those with a new subscriber among them.
func TestUnusedWindowsAreLast(t *testing.T) {
	n, used, unused := queueRig(t, 200, 800)
	n.resync()
	came := n.queues[idle][len(unused)-1]
	n.hasten(came)
	at := takeAll(t, n, 100)
	for _, w := range used {
		if at[w] < 1 || at[w] > 3 {
			t.Errorf("channel %s, which is in use, is read in batch %d", w.channel, at[w])
		}
	}
	for _, w := range unused {
		if w != came && at[w] < 3 {
			t.Errorf("channel %s, which is not in use, is read in batch %d", w.channel, at[w])
		}
	}
	if at[came] != 3 {
		t.Errorf("the one with a new subscriber is read in batch %d", at[came])
	}
}

// TestNoWindowStarves has more changes than can be read: the windows that wait
// for their comparison, and those that nobody uses, get their share.
func TestNoWindowStarves(t *testing.T) {
	const limit = 128
	n, used, unused := queueRig(t, 2*limit, 8)
	n.resync()
	busy, quiet := used[:limit], append(used[limit:], unused...)
	left := map[*window]bool{}
	for _, w := range quiet {
		left[w] = true
	}
	// The busy ones are in the way of the others until they were read once.
	for batch := 0; len(left) > 0; batch++ {
		if batch > len(used)/(limit/lowShare)+1 {
			t.Fatalf("%d windows have not been read after %d batches", len(left), batch)
		}
		for _, w := range busy {
			n.enqueue(w, readInvalidated)
		}
		for _, task := range n.take(nil, limit) {
			delete(left, task.w)
		}
	}
}

// TestLagEnds has windows leave a queue by way of a more urgent one: when all
// have been read, nothing lags.
func TestLagEnds(t *testing.T) {
	n, used, _ := queueRig(t, 3, 0)
	n.resync()
	for _, w := range used {
		n.enqueue(w, readInvalidated)
	}
	if n.lag(time.Now().Add(time.Second)) == 0 {
		t.Error("nothing lags before it is read")
	}
	takeAll(t, n, 3)
	if lag := n.lag(time.Now().Add(time.Second)); lag != 0 {
		t.Errorf("a lag of %v with nothing to read", lag)
	}
}
