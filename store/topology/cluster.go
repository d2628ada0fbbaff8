package topology

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/goredis"
	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

const (
	// refreshEvery is how often the map of slots is asked for without a cause. A
	// channel without entries has no key that could announce that its slot moved
	// away, so its first event may come this much late.
	refreshEvery = 2 * time.Second
	// refreshGap is the least time between two questions, and how often a
	// stream is read whose slot is on its way.
	refreshGap = 100 * time.Millisecond
)

// cluster is a Redis Cluster: a node per master, each with a session of its own,
// with the master or with a replica of it.
type cluster struct {
	options Options
	client  *redis.ClusterClient // for reads of history
	masters *redis.ClusterClient // the same, unless that reads from replicas
	changed chan struct{}        // capacity 1: something is due
	stale   atomic.Bool          // ask for the map again

	discovery map[string]*redis.Client // for questions, by address; owned by Run
	ranges    atomic.Pointer[[]redis.ClusterSlot]

	// mu guards the map of slots and, with it, which node a source is given to.
	// Lock order: mu before that of a tail.Node.
	mu    sync.Mutex
	slots [slots]*clusterNode
	nodes map[string]*clusterNode // by address
}

func newCluster(o Options) *cluster {
	t := &cluster{
		options: o, changed: make(chan struct{}, 1),
		discovery: make(map[string]*redis.Client), nodes: make(map[string]*clusterNode),
	}
	t.masters = redis.NewClusterClient(t.clientOptions(t.slotsForMasters))
	if t.client = t.masters; o.ReadReplicas {
		c := t.clientOptions(t.slotsForReads)
		c.OnConnect = func(ctx context.Context, conn *redis.Conn) error { return conn.ReadOnly(ctx).Err() }
		t.client = redis.NewClusterClient(c)
	}
	return t
}

// clientOptions are Options.clientOptions for a client of the whole cluster.
func (t *cluster) clientOptions(clusterSlots func(context.Context) ([]redis.ClusterSlot, error)) *redis.ClusterOptions {
	c := t.options.Address.Universal().Cluster()
	c.Protocol, c.DisableIdentity, c.ContextTimeoutEnabled = 2, true, true
	c.DialTimeout, c.ReadTimeout, c.WriteTimeout = DialTimeout, ReplyTimeout, ReplyTimeout
	c.PoolSize, c.PipelinePoolSize = t.options.HistoryReads, t.options.HistoryReads
	c.ClusterSlots = clusterSlots
	return c
}

// slotsForMasters returns the map of slots of the last refresh. By itself
// go-redis would go on asking a master that died, for a minute.
func (t *cluster) slotsForMasters(context.Context) ([]redis.ClusterSlot, error) {
	if ranges := t.ranges.Load(); ranges != nil {
		return *ranges, nil
	}
	return nil, fmt.Errorf("%w: the slots of the cluster are not known yet", rediserr.ErrUnreachable)
}

// slotsForReads is slotsForMasters with the server that is followed in the place
// of the master: go-redis sends there what it would send to the master.
func (t *cluster) slotsForReads(ctx context.Context) ([]redis.ClusterSlot, error) {
	ranges, err := t.slotsForMasters(ctx)
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
		if n := t.nodes[r.Nodes[0].Addr]; n != nil && n.replicas.followsReplica() {
			ranges[i].Nodes = []redis.ClusterNode{{Addr: n.replicas.current.Load().Addr}}
		}
	}
	return ranges, nil
}

// Client is of Topology.
func (t *cluster) Client(context.Context) (redis.UniversalClient, error) { return t.client, nil }

// Master is of Topology. The client follows redirections.
func (t *cluster) Master(context.Context) (redis.UniversalClient, error) {
	if !t.options.ReadReplicas {
		return nil, nil
	}
	return t.masters, nil
}

// Close is of Topology.
func (t *cluster) Close() error {
	if t.client == t.masters {
		return t.client.Close() // a second time is an error
	}
	return errors.Join(t.client.Close(), t.masters.Close())
}

// Nodes is of Topology.
func (t *cluster) Nodes() []*tail.Node {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*tail.Node, 0, len(t.nodes))
	for _, n := range t.nodes {
		all = append(all, n.Node)
	}
	return all
}

// Replicas is of Topology.
func (t *cluster) Replicas(now time.Time) (count int, lag time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.nodes {
		c, l := n.replicas.count(now)
		count, lag = count+c, max(lag, l)
	}
	return count, lag
}

// NodeOf is of Topology.
func (t *cluster) NodeOf(key string) (*tail.Node, error) {
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

// refreshSoon has the map of slots asked for again.
func (t *cluster) refreshSoon() {
	t.stale.Store(true)
	t.wake()
}

func (t *cluster) wake() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// Run is of Topology.
func (t *cluster) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer t.closeDiscovery()
	t.stale.Store(true)
	for due := time.Now(); ; {
		if t.stale.Swap(false) || !time.Now().Before(due) {
			due = time.Now().Add(tail.Jitter(refreshEvery))
			if err := t.refresh(ctx, &wg); err != nil && ctx.Err() == nil {
				t.options.Tail.Metrics.RedisErrors.WithLabelValues(rediserr.Kind(err)).Inc()
				t.options.Tail.Log.Debug("the cluster's slots could not be asked for", "error", err)
				t.refreshSoon()
			}
		}
		t.readRedirected(ctx)
		if !sleep(ctx, tail.Jitter(refreshGap)) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-t.changed:
		case <-time.After(time.Until(due)):
		}
	}
}

// refresh asks for the map of slots and takes it over.
func (t *cluster) refresh(ctx context.Context, wg *sync.WaitGroup) error {
	ranges, err := t.askSlots(ctx)
	if err != nil {
		return err
	}
	if old := t.ranges.Swap(&ranges); old == nil || !reflect.DeepEqual(*old, ranges) {
		t.masters.ReloadState(ctx)
		t.client.ReloadState(ctx) // which is mostly the same
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	masters := make(map[string]bool)
	for _, r := range ranges {
		if len(r.Nodes) == 0 {
			continue
		}
		addr := r.Nodes[0].Addr
		masters[addr] = true
		n := t.nodes[addr]
		if n == nil {
			n = t.start(ctx, wg, addr)
		}
		for slot := max(r.Start, 0); slot <= r.End && slot < slots; slot++ {
			t.slots[slot] = n
		}
	}
	used := t.reassign()
	for addr, n := range t.nodes {
		if !masters[addr] && !used[n.Node] {
			t.remove(addr, n)
		}
	}
	return nil
}

// start begins to follow a master. The caller holds mu.
func (t *cluster) start(ctx context.Context, wg *sync.WaitGroup, addr string) *clusterNode {
	ctx, stop := context.WithCancel(ctx)
	n := &clusterNode{cluster: t, addr: addr, stop: stop}
	n.Node = tail.NewNode(t.options.Tail, addr, n, t.options.HistoryReads)
	if t.options.ReadReplicas {
		n.replicas = newReplicaSet(&t.options, n.Node, n)
	}
	t.nodes[addr] = n
	wg.Go(func() { n.Run(ctx) })
	return n
}

// remove ends the tail of a node that has no slots any more. The caller holds
// mu.
func (t *cluster) remove(addr string, n *clusterNode) {
	n.stop()
	delete(t.nodes, addr)
	if c := t.discovery[addr]; c != nil {
		_ = c.Close()
		delete(t.discovery, addr)
	}
	for slot := range t.slots {
		if t.slots[slot] == n {
			t.slots[slot] = nil
		}
	}
	t.options.Tail.Log.Info("a node has no slots of the cluster any more", "redis", addr)
}

// reassign gives every source to the node that has its slot now, and returns the
// nodes that have any. The caller holds mu.
func (t *cluster) reassign() map[*tail.Node]bool {
	used := make(map[*tail.Node]bool)
	for _, old := range t.nodes {
		for _, s := range old.Sources() {
			now := t.slots[slotOf(s.Key)]
			switch {
			case now == nil: // nobody has the slot; whoever had it last may get it back
				used[old.Node] = true
			case now == old || old.Move(s, now.Node):
				used[now.Node] = true
			}
		}
	}
	return used
}

// readRedirected reads again what answered MOVED or ASK. MOVED is read from the
// node that has it by now. ASK means that the slot is on its way: only the new
// node has the key, and only the old one has the slot. So the source is read
// through the client that follows redirections. Such a read arms no tracking, so
// the old node is asked again too: its next ASK brings the source back here, and
// so on, until the slot has arrived.
func (t *cluster) readRedirected(ctx context.Context) {
	for _, n := range t.Nodes() {
		moved, ask := n.TakeRedirected()
		for _, s := range ask {
			if err := n.ReconcileVia(ctx, goredis.Querier{Client: t.masters}, s); err != nil {
				t.options.Tail.Log.Debug("a stream could not be read while its slot moves", "error", err)
			}
		}
		for _, s := range append(moved, ask...) {
			s.Recheck()
		}
	}
}
