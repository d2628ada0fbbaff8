package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestReplicaCluster reads from a replica of each master, with the tail and
// history, from the master of those that have none, and while a slot moves.
func TestReplicaCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 1)
	masters := c.Masters()
	for i := range 12 {
		for range 3 {
			c.XAdd(fmt.Sprint("sse:c", i), "data", "old")
		}
	}
	for _, m := range masters {
		c.Replicas(m)[0].AwaitSync(m)
	}
	tagged := "{sse:c0}" // in the slot of sse:c0
	c.XAdd("sse:"+tagged, "data", "old")
	s := openHealthy(t, c.URL(), fromReplicas)
	s.awaitReplicas(t, 3)
	// go-redis takes its time to see that there is another server to read from.
	var before []int64
	redistest.Eventually(t, patience, "history to be read from the replicas", func() bool {
		before = readsOf(masters)
		for i := range 12 {
			if _, err := s.readState(t.Context(), fmt.Sprint("c", i), fmt.Sprint("sse:c", i)); err != nil {
				t.Fatal(err)
			}
		}
		return slices.Equal(readsOf(masters), before)
	})
	readers := make([]*reader, 12)
	for i := range readers {
		readers[i] = s.subscribe(t, fmt.Sprint("c", i))
	}
	for i, r := range readers {
		r.awaitID(c.XAdd(fmt.Sprint("sse:c", i), "data", "x"))
		if r.at(ID{}).drain(); len(r.got) != 4 {
			t.Errorf("%s: got %v", r.sub.Channel(), r.got)
		}
	}
	for i, m := range masters {
		if n := reads(m) - before[i]; n != 0 {
			t.Errorf("the master %s was read from %d times", m, n)
		}
		if stats := c.Replicas(m)[0].Commandstats(); stats["readonly"] == 0 || stats["xrange"] == 0 {
			t.Errorf("the replica of %s was not read from: %v", m, stats)
		}
	}
	// A slot moves, slowly, with its key and without.
	slot := c.Slot("sse:c0")
	from, to := c.Owner(slot), masters[0]
	if from == to {
		to = masters[1]
	}
	c.BeginMoveSlot(slot, to)
	c.MoveKeys(slot)
	moving := readers[0]
	if len(moving.at(ID{}).got) != 0 {
		t.Fatal("a new start has events")
	}
	// For the replica there is no such stream any more. To begin now is not to
	// begin at 0-0.
	late := s.subscribe(t, tagged)
	moving.awaitID(c.XAdd("sse:c0", "data", "y"))
	late.awaitID(c.XAdd("sse:"+tagged, "data", "y"))
	s.awaitReplicas(t, 2)
	c.FinishMoveSlot(slot)
	moving.awaitID(c.XAdd("sse:c0", "data", "z"))
	late.awaitID(c.XAdd("sse:"+tagged, "data", "z"))
	if texts := fmt.Sprint(moving.got, late.got); len(moving.got) != 6 || len(late.got) != 2 || strings.Contains(texts, "gap") {
		t.Errorf("while the slot moved: %s", texts)
	}
	s.awaitReplicas(t, 3)
	// A replica dies.
	replica := c.Replicas(c.Owner(slot))[0]
	replica.Kill()
	s.awaitReplicas(t, 2)
	moving.awaitID(c.XAdd("sse:c0", "data", "on the master"))
	replica.Restart()
	s.awaitReplicas(t, 3)
	for i, r := range readers {
		r.awaitID(c.XAdd(fmt.Sprint("sse:c", i), "data", "last"))
		for _, it := range r.got {
			if it.gap != nil {
				t.Errorf("%s: got %v", r.sub.Channel(), r.got)
			}
		}
	}
	if s.sweepFinds() != 0 {
		t.Errorf("%d finds of the sweep", s.sweepFinds())
	}
}

func readsOf(servers []*redistest.Server) (ns []int64) {
	for _, srv := range servers {
		ns = append(ns, reads(srv))
	}
	return ns
}
