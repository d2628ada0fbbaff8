package topology

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/resp"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

const (
	// refreshEvery is how often the map of slots is asked for without a cause. A
	// channel without entries has no key that could announce that its slot moved
	// away, so its first event may come this much late.
	refreshEvery = 2 * time.Second
	// refreshGap is the least time between two questions.
	refreshGap = 100 * time.Millisecond
)

// errNoNode is returned for a key that no node of a cluster serves.
var errNoNode = fmt.Errorf("%w: no node of the cluster serves the channel's slot", rediserr.ErrUnreachable)

// cluster is a Redis Cluster: a node per master.
type cluster struct {
	clients *clients
	stale   chan struct{} // capacity 1: ask for the map of slots again

	// mu guards the map of slots and, with it, which node a source is given to.
	// Lock order: mu before that of a tail.Node.
	mu    sync.Mutex
	slots [slots]*shard
	nodes map[string]*shard // by address
}

func newCluster(o Options) *cluster {
	return &cluster{clients: newClients(o), stale: make(chan struct{}, 1), nodes: make(map[string]*shard)}
}

// Close is of Topology.
func (t *cluster) Close() error { return t.clients.close() }

// Nodes is of Topology.
func (t *cluster) Nodes() []*Node {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*Node, 0, len(t.nodes))
	for _, n := range t.nodes {
		all = append(all, n.Node)
	}
	return all
}

// NodeOf is of Topology.
func (t *cluster) NodeOf(key string) (*Node, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.slots[slotOf(key)]; n != nil {
		return n.Node, nil
	}
	return nil, errNoNode
}

// Follow is of Topology.
func (t *cluster) Follow(s *tail.Source) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.slots[slotOf(s.Key)]
	if n == nil {
		return errNoNode
	}
	n.Add(s)
	return nil
}

// Run is of Topology.
func (t *cluster) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		wait := refreshEvery
		if err := t.refresh(ctx, &wg); err != nil && ctx.Err() == nil {
			t.clients.options.Tail.Metrics.RedisErrors.WithLabelValues(rediserr.Kind(err)).Inc()
			t.clients.options.Tail.Log.Debug("the cluster's slots could not be asked for", "error", err)
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
func (t *cluster) refresh(ctx context.Context, wg *sync.WaitGroup) error {
	ranges, err := t.askSlots(ctx)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	masters := make(map[*shard]bool)
	for _, r := range ranges {
		if len(r.Nodes) == 0 {
			continue
		}
		n := t.nodes[r.Nodes[0].Addr]
		if n == nil {
			n = t.start(ctx, wg, r.Nodes[0].Addr)
		}
		masters[n] = true
		n.replicas = nil
		for _, replica := range r.Nodes[1:] {
			n.replicas = append(n.replicas, replica.Addr)
		}
		for slot := max(r.Start, 0); slot <= r.End && slot < slots; slot++ {
			t.slots[slot] = n
		}
	}
	t.reassign(masters)
	for _, n := range t.nodes {
		if !masters[n] {
			t.remove(n)
		}
	}
	return nil
}

// start begins to follow a master. The caller holds mu.
func (t *cluster) start(ctx context.Context, wg *sync.WaitGroup, addr string) *shard {
	ctx, stop := context.WithCancel(ctx)
	n := &shard{cluster: t, addr: addr, stop: stop}
	n.Node = newNode(t.clients, addr, n)
	t.nodes[addr] = n
	wg.Go(func() { n.Run(ctx) })
	return n
}

// remove ends the tail of a node that has no slots any more. The caller holds
// mu.
func (t *cluster) remove(n *shard) {
	n.stop()
	delete(t.nodes, n.addr)
	for slot := range t.slots {
		if t.slots[slot] == n {
			t.slots[slot] = nil
		}
	}
	t.clients.options.Tail.Log.Info("a node has no slots of the cluster any more", "redis", n.addr)
}

// reassign gives every source to the node that has its slot now, and adds to
// used the nodes that have sources although they have no slots. The caller holds
// mu.
func (t *cluster) reassign(used map[*shard]bool) {
	for _, old := range t.nodes {
		for _, s := range old.Sources() {
			now := t.slots[slotOf(s.Key)]
			switch {
			case now == nil: // nobody has the slot; whoever had it last may get it back
				used[old] = true
			case now == old || old.Move(s, now.Node.Node):
				used[now] = true
			}
		}
	}
}

// shard is a node of the cluster. It is the group of its Node.
type shard struct {
	*Node
	cluster  *cluster
	addr     string
	stop     context.CancelFunc
	replicas []string // addresses; guarded by cluster.mu
}

// members is of group. Replicas that the cluster takes for failed are not in its
// map of slots.
func (n *shard) members(context.Context) (string, []string, error) {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	return n.addr, n.replicas, nil
}

// verify is of group. It also looks for slots that are about to move away: a key
// that its node does not have is then created on the new one, and the old one,
// where tracking is armed, hears nothing of it. To read such a stream is to be
// told so, by ASK.
func (n *shard) verify(c tail.Asker) error {
	self, err := askSelf(c)
	if err != nil || self == nil {
		return err
	}
	if !self.master {
		return fmt.Errorf("%w: it is a replica", errNotMaster)
	}
	if len(self.migrating) == 0 {
		return nil
	}
	for _, s := range n.Sources() {
		if self.migrating[slotOf(s.Key)] {
			s.Recheck()
		}
	}
	return nil
}

// canReplace is of group. While a slot moves away only the master knows: on a
// replica the keys that have moved are as good as deleted.
func (n *shard) canReplace(master tail.Asker) error {
	self, err := askSelf(master)
	if err == nil && self != nil && len(self.migrating) > 0 {
		err = fmt.Errorf("%w: slots are on their way from the master to another", tail.ErrSwitchServer)
	}
	return err
}

// changed is of group.
func (n *shard) changed(because error) {
	if resp.IsAsk(because) {
		return // the slots are as they were
	}
	select {
	case n.cluster.stale <- struct{}{}:
	default:
	}
}
