package store

import (
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
	nodes[2].alive.Store(time.Now().Add(-StalledAfter).UnixNano())
	if ok, _ := nodesHealth(nodes); ok {
		t.Error("healthy without the third node")
	}
}
