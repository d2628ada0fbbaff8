package topology

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

const (
	// refreshEvery is how often the map of slots is asked for without a cause. A
	// channel without entries has no key that could announce that its slot moved
	// away, so its first event may come this much late.
	refreshEvery = 2 * time.Second
	// refreshGap is the least time between two questions.
	refreshGap = 100 * time.Millisecond
	// maxAsked is how many nodes are asked for the map of slots at once: enough
	// that one which is cut off from the others does not decide, few enough for
	// large clusters.
	maxAsked = 5
)

// runCluster keeps the map of slots true, and runs the nodes.
func (t *Topology) runCluster(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		wait := refreshEvery
		if err := t.refresh(ctx, &wg); err != nil && ctx.Err() == nil {
			t.options.Tail.Metrics.RedisErrors.WithLabelValues(rediserr.Kind(err)).Inc()
			t.options.Tail.Log.Debug("the cluster's slots could not be asked for", "error", err)
			wait = refreshGap
		}
		if !sleep(ctx, tail.Jitter(refreshGap)) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-t.stale:
		case <-time.After(tail.Jitter(wait)):
		}
	}
}

// refresh asks for the map of slots and takes it over.
func (t *Topology) refresh(ctx context.Context, wg *sync.WaitGroup) error {
	ranges, err := t.askSlots(ctx)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	used := make(map[*Node]bool)
	clear(t.slots[:])
	for _, r := range ranges {
		if len(r.Nodes) == 0 {
			continue
		}
		n := t.nodes[r.Nodes[0].Addr]
		if n == nil {
			n = t.newNode(r.Nodes[0].Addr)
			var nodeCtx context.Context
			nodeCtx, n.stop = context.WithCancel(ctx)
			wg.Go(func() { n.Run(nodeCtx) })
		}
		used[n] = true
		n.replicas = nil
		for _, replica := range r.Nodes[1:] {
			n.replicas = append(n.replicas, replica.Addr)
		}
		for slot := max(r.Start, 0); slot <= r.End && slot < slots; slot++ {
			t.slots[slot] = n
		}
	}
	t.reassign(used)
	for name, n := range t.nodes {
		if !used[n] {
			n.stop()
			delete(t.nodes, name)
			t.options.Tail.Log.Info("a node has no slots of the cluster any more", "redis", name)
		}
	}
	return nil
}

// reassign gives every source to the node that has its slot now, and adds to
// used the nodes that have sources although they have no slots. The caller holds
// mu.
func (t *Topology) reassign(used map[*Node]bool) {
	for _, old := range t.nodes {
		for _, s := range old.Sources() {
			now := t.slots[slotOf(s.Key)]
			switch {
			case now == nil: // nobody has the slot; whoever had it last may get it back
				used[old] = true
			case now == old || old.Move(s, now.Node):
				used[now] = true
			}
		}
	}
}

// clusterMap is what one node says of the cluster.
type clusterMap struct {
	ranges []redis.ClusterSlot
	epoch  int64 // the highest configuration epoch of any node that it knows
}

// askSlots asks nodes of the cluster, known ones in random order before those of
// the URL, for the map of slots, and believes the one that knows the highest
// configuration epoch.
func (t *Topology) askSlots(ctx context.Context) ([]redis.ClusterSlot, error) {
	var addrs []string
	for _, n := range t.Nodes() {
		addrs = append(addrs, n.Name())
	}
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	for _, addr := range t.options.Address.Addrs {
		if !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	errs := []error{errNoNode}
	for some := range slices.Chunk(addrs, maxAsked) {
		maps, err := askAll(ctx, some, t.askMap)
		if len(maps) > 0 {
			return slices.MaxFunc(maps, func(a, b clusterMap) int { return cmp.Compare(a.epoch, b.epoch) }).ranges, nil
		}
		if errs = append(errs, err); ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// askMap asks one node for the map of slots.
func (t *Topology) askMap(ctx context.Context, addr string) (clusterMap, error) {
	pipe := t.clients.at(addr).Pipeline()
	// Not CLUSTER SHARDS, which needs Redis 7.
	slotsCmd := pipe.ClusterSlots(ctx)
	nodesCmd := pipe.ClusterNodes(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		return clusterMap{}, err
	}
	ranges := slotsCmd.Val()
	if len(ranges) == 0 {
		return clusterMap{}, errNoNode
	}
	for _, r := range ranges {
		for i := range r.Nodes {
			r.Nodes[i].Addr = absolute(r.Nodes[i].Addr, addr)
		}
	}
	return clusterMap{ranges, parseNodes(nodesCmd.Val()).epoch}, nil
}

// verifyShard asks a master over a connection whether it still is one. It also
// looks for slots that are about to move away: a key that its node does not have
// is then created on the new one, and the old one, where tracking is armed, hears
// nothing of it. To read such a stream is to be told so, by ASK.
func (n *Node) verifyShard(c tail.Asker) error {
	v, err := askView(c)
	switch {
	case err != nil:
		return err
	case v.replica:
		return fmt.Errorf("%w: it is a replica", errNotMaster)
	case len(v.migrating) == 0:
		return nil
	}
	for _, s := range n.Sources() {
		if v.migrating[slotOf(s.Key)] {
			s.Recheck()
		}
	}
	return nil
}
