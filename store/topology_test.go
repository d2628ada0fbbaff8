package store

import (
	"context"
	"io"
	"testing"
	"time"
)

// A replica is ready, and its tail up, only while every node of Redis has
// proved itself alive; what waits longest at any of them is the lag.
func TestEveryNodeCounts(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, "redis://127.0.0.1:1") // never dialled
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var nodes []*node
	for _, name := range []string{"a", "b", "c"} {
		nodes = append(nodes, newNode(s, s.topo.(*singleTopology).node.opts, name, nil))
	}
	m := cfg.Metrics
	for i := range nodes {
		if ok, reason := nodesHealth(nodes); ok || reason == "" {
			t.Errorf("%d of 3 nodes are alive: healthy, %q", i, reason)
		}
		if observeNodes(m, nodes); value(m.TailUp) != 0 {
			t.Errorf("%d of 3 nodes are alive: up", i)
		}
		nodes[i].prove(time.Now().Add(time.Minute)) // however slow this machine
	}
	nodes[1].oldest = time.Now().Add(-time.Minute)
	observeNodes(m, nodes)
	if ok, _ := nodesHealth(nodes); !ok || value(m.TailUp) != 1 || value(m.TailNodes) != 3 || value(m.TailLag) < 60 {
		t.Errorf("healthy %v, up %v, %v nodes, lag %v", ok, value(m.TailUp), value(m.TailNodes), value(m.TailLag))
	}
	newReplicaSet(nodes[2]).current.Store(&server{addr: "d", replica: true}) // proved when it was made
	observeNodes(m, nodes)
	if value(m.TailReplicas) != 1 || value(m.ReplicaLag) <= 0 {
		t.Errorf("%v replicas, lag %v", value(m.TailReplicas), value(m.ReplicaLag))
	}
	nodes[2].prove(time.Now().Add(-StalledAfter))
	if ok, _ := nodesHealth(nodes); ok {
		t.Error("healthy without the third node")
	}
}

// What a sweep has found is forgotten with the session whose invalidations would
// explain it.
func TestFindsEndWithTheSession(t *testing.T) {
	t.Parallel()
	s, err := Open(testConfig(t, "redis://127.0.0.1:1")) // never dialled
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	n := newNode(s, s.topo.(*singleTopology).node.opts, "a", func(context.Context) (string, error) {
		cancel() // and so the only session ends before it begins
		return "", io.EOF
	})
	n.suspect(newWindow(ID{}), 3)
	n.run(ctx)
	n.convict(time.Now().Add(time.Hour))
	if finds := value(s.metrics.SweepFinds); finds != 0 {
		t.Errorf("%v finds of the sweep", finds)
	}
}
