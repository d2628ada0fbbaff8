package store

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestCluster takes one cluster through what happens to clusters, with
// subscribers on every node throughout: those of a store that reads from masters,
// and those of one that reads from replicas.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 1, redistest.WithUser("default off"),
		redistest.WithUser("masters on >pass "+clusterPrivilege), redistest.WithUser("replicas on >pass "+clusterReplicaPrivilege))
	f := &clusterFixture{t: t, c: c, want: make([][]ID, 12)}
	for user, change := range map[string]func(*Config){"masters": nil, "replicas": fromReplicas} {
		s := openHealthy(t, strings.Replace(c.URL(), "://", "://"+user+":pass@", 1), change)
		f.stores = append(f.stores, s)
		for i := range f.want {
			f.readers = append(f.readers, clusterReader{s.subscribe(t, fmt.Sprint("c", i)), s, i})
		}
	}
	f.publish("at the start")
	f.awaitNodes(3)
	f.moveIdleSlots()
	f.moveSlot()
	f.moveEmptySlot()
	f.addNode()
	f.failover()
	f.kill()
	for _, s := range f.stores {
		if s.sweepFinds() != 0 {
			t.Errorf("%d finds of the sweep", s.sweepFinds())
		}
	}
}

// clusterFixture is a cluster with subscribers of all stores on each of some channels.
type clusterFixture struct {
	t       *testing.T
	c       *redistest.Cluster
	stores  []*testStore
	readers []clusterReader
	want    [][]ID // of each channel
}

type clusterReader struct {
	*reader
	s       *testStore
	channel int // in clusterFixture.want
}

// awaitNodes waits until every store is healthy and tails so many nodes.
func (f *clusterFixture) awaitNodes(want float64) {
	f.t.Helper()
	for _, s := range f.stores {
		redistest.Eventually(f.t, patience, fmt.Sprint(want, " nodes to be tailed"), func() bool { return value(s.m.Store.TailNodes) == want })
		s.awaitHealth(f.t, true)
	}
}

// publish adds an entry to every channel, and checks that all of it, and
// nothing else, arrives everywhere, live and from history.
func (f *clusterFixture) publish(when string) {
	f.t.Helper()
	for i := range f.want {
		f.want[i] = append(f.want[i], f.add(fmt.Sprint("sse:c", i)))
	}
	for _, r := range f.readers {
		want := f.want[r.channel]
		last := want[len(want)-1]
		r.await(fmt.Sprintf("%s of %s %s", last, r.sub.Channel(), when), func() bool {
			return len(r.got) > 0 && r.got[len(r.got)-1].id == last
		})
		wantIDs(f.t, when+", "+r.sub.Channel(), r.got, want)
	}
	for _, r := range f.readers {
		r.s.empty(r.sub.Channel())
		h := &reader{t: f.t, sub: r.sub, wake: make(signalWaker, 1)}
		h.at(ID{}).drain()
		wantIDs(f.t, "history "+when+", "+r.sub.Channel(), h.got, f.want[r.channel])
		if _, err := r.sub.Last(f.t.Context(), 1000); err != nil {
			f.t.Errorf("Last %s: %v", when, err)
		}
	}
}

// add adds an entry, when the test's client has found the key's node.
func (f *clusterFixture) add(key string) (id ID) {
	f.t.Helper()
	redistest.Eventually(f.t, patience, "XADD "+key, func() bool {
		text, err := f.c.Client().Do(f.t.Context(), "XADD", key, "*", "data", "x").Text()
		if dial := new(net.OpError); errors.As(err, &dial) && dial.Op == "dial" {
			f.c.Client().ReloadState(f.t.Context()) // it would not by itself
			return false                            // nothing was sent
		}
		if err != nil {
			f.t.Fatalf("XADD: %v", err)
		}
		id = mustID(f.t, text)
		return true
	})
	return id
}

// other returns a master that has not the slot.
func (f *clusterFixture) other(slot int) *redistest.Server {
	owner := f.c.Owner(slot)
	for _, m := range f.c.Masters() {
		if m != owner {
			return m
		}
	}
	f.t.Fatal("no other master")
	return nil
}

// moveSlot moves the slot of the first channel, with a pause half-way.
func (f *clusterFixture) moveSlot() {
	slot := f.c.Slot("sse:c0")
	to := f.other(slot)
	f.c.BeginMoveSlot(slot, to)
	f.publish("before the key has moved")
	f.c.MoveKeys(slot)
	start := time.Now()
	for range 5 {
		f.publish("half-way")
	}
	f.t.Logf("five rounds half-way took %v", time.Since(start))
	f.c.FinishMoveSlot(slot)
	f.publish("after the slot has moved")
	// There, tracking is armed: no polling is needed any more.
	f.publish("after the slot has moved, again")
}

// moveEmptySlot moves the slot of a channel that has no entries, and no key.
func (f *clusterFixture) moveEmptySlot() {
	for i, during := range []bool{true, false} {
		channel := fmt.Sprintf("empty%d", i)
		var readers []*reader
		for _, s := range f.stores {
			readers = append(readers, s.subscribe(f.t, channel))
		}
		await := func(id string) {
			for _, r := range readers {
				r.awaitID(id)
			}
		}
		slot := f.c.Slot("sse:" + channel)
		f.c.BeginMoveSlot(slot, f.other(slot))
		if !during {
			f.c.FinishMoveSlot(slot)
		}
		await(f.c.XAdd("sse:"+channel, "data", "x"))
		if during {
			f.c.FinishMoveSlot(slot)
		}
		await(f.c.XAdd("sse:"+channel, "data", "y"))
		for _, r := range readers {
			if len(r.got) != 2 {
				f.t.Errorf("%s got %v", channel, r.got)
			}
		}
	}
}

// addNode adds a master and gives it a channel's slot.
func (f *clusterFixture) addNode() {
	added := f.c.AddMaster()
	f.c.MoveSlot(f.c.Slot("sse:c1"), added)
	f.publish("after a node was added")
	f.awaitNodes(4)
}

// inSync returns a master and one of its replicas, which has all it has.
func (f *clusterFixture) inSync() (master, replica *redistest.Server) {
	master = f.c.NodeFor("sse:c2")
	replicas := f.c.Replicas(master)
	if len(replicas) == 0 {
		f.t.Fatal("no replica")
	}
	replicas[0].AwaitSync(master)
	return master, replicas[0]
}

// failover has a replica take over from a master that works on as a replica.
func (f *clusterFixture) failover() {
	master, replica := f.inSync()
	f.c.Failover(replica)
	f.publish("after a failover")
	master.AwaitSync(replica)
	f.awaitNodes(4)
}

// kill has a replica take over from a master that died.
func (f *clusterFixture) kill() {
	master, _ := f.inSync()
	master.Kill()
	f.c.AwaitFailover(f.c.Slot("sse:c2"))
	f.publish("after the death of a master")
	f.awaitNodes(4)
}

// moveIdleSlots gives the slot of a channel that never had an event, and so no
// key, to another node. Nothing announces that, and nothing is read again: the
// sweep is an hour away. The channel's next event must arrive nevertheless, be it
// written after the gateway has learnt of the move, or before.
func (f *clusterFixture) moveIdleSlots() {
	for _, s := range f.stores {
		for i, early := range []bool{false, true} {
			channel := fmt.Sprint("idle", i, s.cfg.ReadReplicas)
			r := s.subscribe(f.t, channel)
			src, slot := s.source(channel), f.c.Slot("sse:"+channel)
			old := src.Node()
			redistest.Eventually(f.t, patience, "the channel to be read", func() bool { return old.Lag(time.Now()) == 0 })
			f.giveSlot(slot)
			if !early {
				redistest.Eventually(f.t, patience, "the move to be noticed", func() bool { return src.Node() != old })
			}
			id := f.add("sse:" + channel)
			r.awaitID(id.String())
			wantIDs(f.t, channel, r.got, []ID{id})
			r.awaitID(f.add("sse:" + channel).String()) // tracking is armed there
		}
	}
}

// giveSlot gives a slot without keys to another master, at once: its owner does
// not know it as one that is about to move, which would have its channels read.
func (f *clusterFixture) giveSlot(slot int) {
	from, to := f.c.Owner(slot), f.other(slot)
	id := func(s *redistest.Server) any { return s.Do("CLUSTER", "MYID") }
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", id(from)) // so that it takes a new epoch
	to.Do("CLUSTER", "SETSLOT", slot, "NODE", id(to))
	for _, m := range f.c.Masters() {
		if m != to {
			m.Do("CLUSTER", "SETSLOT", slot, "NODE", id(to))
		}
	}
}
