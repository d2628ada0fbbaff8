package tail

import (
	"testing"
	"time"
)

// gapRig is a node with one source, whose stream seemed to lack entries just now.
func gapRig(t *testing.T) (n *Node, s *Source) {
	t.Helper()
	n, s = newTestNode(t), newSource("a")
	n.Add(s)
	if n.gapIsConfirmed(n.take(nil, 1)[0]) {
		t.Fatal("a gap counts when it is first found")
	}
	select {
	case <-n.GapFound():
	default:
		t.Fatal("nobody is told that a gap is pending")
	}
	return n, s
}

// soon is after everything that a test has done until then, also where the clock
// does not tell two moments apart.
func soon() time.Time { return time.Now().Add(time.Minute) }

// takeOne returns the only task of the node.
func takeOne(t *testing.T, n *Node) task {
	t.Helper()
	tasks := n.take(nil, readBatch)
	if len(tasks) != 1 {
		t.Fatalf("%d tasks", len(tasks))
	}
	return tasks[0]
}

// A gap counts once, when a read finds it that was asked for after the replica
// had caught up with what the master had when the gap was first seen.
func TestGapCountsOnceConfirmed(t *testing.T) {
	t.Parallel()
	n, s := gapRig(t)
	if n.ConfirmGaps(s.gapSince, nil); len(n.take(nil, 1)) != 0 {
		t.Error("it is confirmed by what the master had before")
	}
	if left := n.ConfirmGaps(soon(), nil); left {
		t.Error("the master answers for all keys")
	}
	r := takeOne(t, n)
	if r.why != readChecked|readConfirmed || !n.gapIsConfirmed(r) {
		t.Errorf("read for reasons %b, it does not count", r.why)
	}
	// It begins anew.
	if n.gapIsConfirmed(r) {
		t.Error("it counts twice")
	}
	if n.ConfirmGaps(soon(), nil); !n.gapIsConfirmed(takeOne(t, n)) {
		t.Error("the next one does not count")
	}
	if n.ConfirmGaps(soon(), nil); n.gaps {
		t.Error("it stays pending")
	}
}

// A read that was under way when the gap was confirmed has seen the replica as
// it was before.
func TestGapOfAnEarlierReadDoesNotCount(t *testing.T) {
	t.Parallel()
	n, s := gapRig(t)
	n.enqueue(s, readInvalidated)
	underWay := takeOne(t, n)
	n.ConfirmGaps(soon(), nil)
	if n.gapIsConfirmed(underWay) {
		t.Error("it counts")
	}
	if !n.gapIsConfirmed(takeOne(t, n)) {
		t.Error("the read after it does not count")
	}
}

// A gap that a read did not get to, because of an error or because others took
// all the room, is not lost.
func TestGapSurvivesAReadThatFailed(t *testing.T) {
	t.Parallel()
	n, s := gapRig(t)
	n.ConfirmGaps(soon(), nil)
	takeOne(t, n) // and nothing comes of it
	n.enqueue(s, readChecked)
	if n.gapIsConfirmed(takeOne(t, n)) {
		t.Error("a read counts that was not asked for by ConfirmGaps")
	}
	if n.ConfirmGaps(soon(), nil); !n.gapIsConfirmed(takeOne(t, n)) {
		t.Error("it does not count when it is confirmed again")
	}
}

// A stream that goes on as expected has no gap, and a later one starts from the
// beginning, although the first was confirmed.
func TestGapIsCleared(t *testing.T) {
	t.Parallel()
	n, s := gapRig(t)
	n.ConfirmGaps(soon(), nil)
	n.clearGap(s)
	if n.gapIsConfirmed(takeOne(t, n)) {
		t.Error("the old confirmation counts for the new gap")
	}
	n.ConfirmGaps(soon(), nil)
	n.clearGap(s)
	n.gapIsConfirmed(task{s, readChecked}) // of a read beside it, while a slot moves
	if n.gapIsConfirmed(takeOne(t, n)) {
		t.Error("the old confirmation counts for a gap that another read has found")
	}
	n.clearGap(s)
	if n.ConfirmGaps(soon(), nil); len(n.take(nil, 1)) != 0 || n.gaps {
		t.Error("a gap is pending that is over")
	}
}

// What was confirmed of one server does not count for the next.
func TestGapsEndWithTheSession(t *testing.T) {
	t.Parallel()
	n, s := gapRig(t)
	n.ConfirmGaps(soon(), nil)
	n.forgetGaps()
	if n.gapIsConfirmed(takeOne(t, n)) || s.gapSince.IsZero() || !n.gaps {
		t.Error("the gap counts, or is not pending anew")
	}
}

// The master of a cluster answers for the keys of its slots.
func TestGapOfAKeyOfAnotherMaster(t *testing.T) {
	t.Parallel()
	n, s := gapRig(t)
	answers := false
	answersFor := func(key string) bool { return key == s.Key && answers }
	if left := n.ConfirmGaps(soon(), answersFor); !left || len(n.take(nil, 1)) != 0 {
		t.Error("a master confirms the gap of a key that it does not have")
	}
	answers = true
	if left := n.ConfirmGaps(soon(), answersFor); left || !n.gapIsConfirmed(takeOne(t, n)) {
		t.Error("the gap does not count")
	}
}

// A source that was removed has no gap.
func TestGapOfARemovedSource(t *testing.T) {
	t.Parallel()
	n, s := gapRig(t)
	n.Remove(s)
	if left := n.ConfirmGaps(soon(), func(string) bool { return false }); left || n.gaps {
		t.Error("it is still pending")
	}
}
