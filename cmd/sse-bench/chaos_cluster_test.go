package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// A Redis Cluster whose slots move and whose masters change, while events flow:
// nobody loses anything, and nobody hears of it.
func TestChaosCluster(t *testing.T) {
	t.Parallel()
	const channels, subscribers = 20, 40
	s := newStage(t)
	c := redistest.StartCluster(t, 3, 1)
	s.startReplicas(2, c.URL())
	l := s.startLoad("--gateway", s.urls(), "--redis", c.URL(), "--channel", "chaos:{n}", "--no-gaps",
		"--subscribers", "40", "--channels", "20", "--rate", "100")
	l.awaitConnected(subscribers)
	f := &clusterFaults{stage: s, load: l, cluster: c}
	for i := range channels {
		f.keys = append(f.keys, fmt.Sprintf("sse:chaos:%d", i))
	}
	rounds := 1
	if s.long {
		rounds = 5
	}
	for i := range rounds {
		f.awaitEvents(5)
		f.moveSlot(f.keys[3*i%channels])
		f.awaitEvents(5)
		f.orderlyFailover(f.keys[(3*i+1)%channels])
		f.awaitEvents(5)
		f.crashMaster(f.keys[(3*i+2)%channels])
	}
	f.awaitEvents(5)
	l.awaitConnected(subscribers)
	code, report := l.finish()
	l.requireIntact(code, report)
}

// clusterFaults is what happens to a cluster.
type clusterFaults struct {
	*stage
	load    *underLoad
	cluster *redistest.Cluster
	keys    []string // of all streams
}

// awaitEvents waits until so many more events are in each stream.
func (f *clusterFaults) awaitEvents(more int64) {
	f.t.Helper()
	want := make([]int64, len(f.keys))
	for i, k := range f.keys {
		want[i] = f.length(k) + more
	}
	f.load.await("events on all channels", func() bool {
		for i, k := range f.keys {
			if f.length(k) < want[i] {
				return false
			}
		}
		return true
	})
}

// length returns the length of a stream, 0 while its node cannot be asked.
func (f *clusterFaults) length(key string) int64 {
	ctx := context.Background()
	n, err := f.cluster.Client().XLen(ctx, key).Result()
	if err != nil {
		// Left to itself the client goes on asking a node that is down.
		f.cluster.Client().ReloadState(ctx)
		return 0
	}
	return n
}

// moveSlot moves the slot of a stream to another master. There are events, and
// the gateways follow, while the one node has the slot and the other the stream.
func (f *clusterFaults) moveSlot(key string) {
	f.t.Helper()
	slot, from := f.cluster.Slot(key), f.cluster.NodeFor(key)
	to := f.cluster.Masters()[0]
	if to == from {
		to = f.cluster.Masters()[1]
	}
	f.do(fmt.Sprintf("move slot %d from %s to %s", slot, from, to), func() error {
		f.cluster.BeginMoveSlot(slot, to)
		f.cluster.MoveKeys(slot)
		f.awaitFollowed(strings.TrimPrefix(key, "sse:"))
		f.cluster.FinishMoveSlot(slot)
		return nil
	})
}

// awaitFollowed waits until every gateway has gone on in a channel several times.
func (f *clusterFaults) awaitFollowed(channel string) {
	f.t.Helper()
	for _, r := range f.replicas {
		seen := map[string]bool{}
		f.load.await(r.name+" follows a stream that moves", func() bool {
			if p, err := r.positions([]string{channel}); err == nil {
				seen[p[channel]] = true
			}
			return len(seen) > 5
		})
	}
}

// orderlyFailover makes the replica of a stream's master the master.
func (f *clusterFaults) orderlyFailover(key string) {
	f.t.Helper()
	master := f.cluster.NodeFor(key)
	replica := f.replicaOf(master)
	f.do(fmt.Sprintf("failover from %s to %s", master, replica), func() error {
		f.cluster.Failover(replica)
		return nil
	})
}

// crashMaster kills the master of a stream at a moment at which its replica has
// all its writes, and starts it again when the replica has taken over.
func (f *clusterFaults) crashMaster(key string) {
	f.t.Helper()
	master := f.cluster.NodeFor(key)
	replica := f.replicaOf(master)
	f.do(fmt.Sprintf("kill -9 the master %s, failover to %s", master, replica), func() error {
		// No write from here on: a replica hears of one after the publisher.
		master.Do("CLIENT", "PAUSE", patience.Milliseconds(), "WRITE")
		replica.AwaitSync(master)
		master.Kill()
		if now := f.cluster.AwaitFailover(f.cluster.Slot(key)); now != replica {
			return fmt.Errorf("%s has taken over", now)
		}
		return nil
	})
	f.awaitEvents(5)
	f.do(fmt.Sprintf("start %s as a replica", master), func() error {
		master.Restart()
		f.cluster.AwaitHealthy()
		master.AwaitSync(replica)
		return nil
	})
}

// replicaOf returns the replica of a master, in step with it.
func (f *clusterFaults) replicaOf(master *redistest.Server) *redistest.Server {
	f.t.Helper()
	replicas := f.cluster.Replicas(master)
	if len(replicas) != 1 {
		f.t.Fatalf("%s has the replicas %v, want one", master, replicas)
	}
	replicas[0].AwaitSync(master)
	return replicas[0]
}
