package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// readReplicas has the node of a master read from a replica of it.
func (t *clusterTopology) readReplicas(n *clusterNode) {
	master := n.name
	rs := newReplicaSet(n.node)
	rs.members = func(context.Context) (string, []string, error) { return master, t.replicasOf(master), nil }
	rs.inspect = inspectSlots
	rs.follow = func(string) { t.client.ReloadState(t.store.ctx) }
	n.verify = func(ctx context.Context, conn querier) error { return rs.verify(ctx, conn, n.watchSlots) }
}

// replicasOf returns the replicas of a master that the cluster does not take
// for failed.
func (t *clusterTopology) replicasOf(master string) []string {
	ranges := t.ranges.Load()
	if ranges == nil {
		return nil
	}
	for _, r := range *ranges {
		if len(r.Nodes) == 0 || r.Nodes[0].Addr != master {
			continue
		}
		addrs := make([]string, 0, len(r.Nodes)-1)
		for _, n := range r.Nodes[1:] {
			addrs = append(addrs, n.Addr)
		}
		return addrs
	}
	return nil
}

// inspectSlots is a replicaSet's inspect. While a slot moves away only the
// master knows: on a replica the keys that have moved are as good as deleted.
// And after it has, a replica may be the last to know.
func inspectSlots(ctx context.Context, master querier) (func(*window) bool, error) {
	cmd := redis.NewStringCmd(ctx, "CLUSTER", "NODES")
	if err := master.Process(ctx, cmd); err != nil {
		return nil, err
	}
	for line := range strings.Lines(cmd.Val()) {
		if _, migrating, ok := parseMyself(line); len(migrating) > 0 {
			return nil, fmt.Errorf("%w: slots are on their way from the master to another", errMoving)
		} else if ok {
			owned := ownedSlots(line)
			return func(w *window) bool { return owned[slotOf(w.key)] }, nil
		}
	}
	return nil, errReply
}

// ownedSlots reads the slots of a node from its line of CLUSTER NODES; see
// parseMyself.
func ownedSlots(line string) *[slots]bool {
	owned := new([slots]bool)
	for _, word := range strings.Fields(line)[8:] {
		first, last, isRange := strings.Cut(word, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil {
			continue // a slot on its way, in brackets
		}
		for slot := max(from, 0); slot <= to && slot < slots; slot++ {
			owned[slot] = true
		}
	}
	return owned
}

// read is known, with the server that is read from in the place of the master:
// go-redis sends there what it would send to the master.
func (t *clusterTopology) read(ctx context.Context) ([]redis.ClusterSlot, error) {
	ranges, err := t.known(ctx)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	ranges = slices.Clone(ranges)
	for i, r := range ranges {
		if len(r.Nodes) == 0 {
			continue
		}
		n := t.nodes[r.Nodes[0].Addr]
		if n == nil || n.replicas == nil || !n.replicas.fromReplica() {
			continue
		}
		ranges[i].Nodes = []redis.ClusterNode{{Addr: n.replicas.current.Load().addr}}
	}
	return ranges, nil
}

// reload has the clients take over what has changed.
func (t *clusterTopology) reload(ctx context.Context) {
	t.masters.ReloadState(ctx)
	if t.client != t.masters {
		t.client.ReloadState(ctx)
	}
}

// authority returns a client of the masters, which follows redirections.
func (t *clusterTopology) authority(context.Context) (redis.UniversalClient, error) {
	if !t.endpoint.replicas {
		return nil, nil
	}
	return t.masters, nil
}
