package store

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

	"github.com/sse-gateway/sse-gateway/metrics"
)

const (
	// refreshEvery is how often the cluster's slots are asked for without a
	// cause. A channel without entries has no key that could announce that its
	// slot moved away, so its first event may come this much late.
	refreshEvery = 2 * time.Second
	// refreshGap is the least time between two questions, and how often a
	// stream is read whose slot is on its way.
	refreshGap = 100 * time.Millisecond
	// askTimeout is how long one node may take to answer before the next one
	// is asked.
	askTimeout = time.Second
)

// clusterTopology is a Redis Cluster: a node per master, each with a session of
// its own, with the master or with a replica of it.
type clusterTopology struct {
	store    *Store
	endpoint *endpoint
	client   *redis.ClusterClient // for reads of history
	masters  *redis.ClusterClient // the same, unless that reads from replicas
	changed  chan struct{}        // capacity 1: something is due
	stale    atomic.Bool          // ask for the slots again

	askers map[string]*redis.Client // by address; owned by run
	ranges atomic.Pointer[[]redis.ClusterSlot]

	// mu guards the map of the cluster and, with it, which node a window is
	// given to. Lock order: mu, Store.mu, node.mu.
	mu      sync.Mutex
	slots   [slots]*node
	nodes   map[string]*clusterNode // by address
	pending map[*window]bool        // MOVED or ASK was answered for them; true: ASK
}

type clusterNode struct {
	*node
	stop context.CancelFunc
}

func newClusterTopology(s *Store, e *endpoint) *clusterTopology {
	t := &clusterTopology{
		store: s, endpoint: e,
		changed: make(chan struct{}, 1),
		askers:  make(map[string]*redis.Client),
		nodes:   make(map[string]*clusterNode),
		pending: make(map[*window]bool),
	}
	o := *e.Universal().Cluster()
	o.Protocol, o.DisableIdentity, o.ContextTimeoutEnabled = 2, true, true
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, replyTimeout, replyTimeout
	o.PoolSize, o.PipelinePoolSize = historyConns, historyConns
	// By itself go-redis would go on asking a master that died, for a minute.
	o.ClusterSlots = t.known
	if t.masters = redis.NewClusterClient(&o); e.replicas {
		o.Addrs = slices.Clone(e.Addrs) // to which the client appends
		o.ClusterSlots, o.OnConnect = t.read, readOnly
		t.client = redis.NewClusterClient(&o)
	} else {
		t.client = t.masters
	}
	return t
}

// known returns the slots that the last refresh was told of.
func (t *clusterTopology) known(context.Context) ([]redis.ClusterSlot, error) {
	if ranges := t.ranges.Load(); ranges != nil {
		return *ranges, nil
	}
	return nil, fmt.Errorf("%w: the slots of the cluster are not known yet", ErrUnavailable)
}

func (t *clusterTopology) historyClient() redis.UniversalClient { return t.client }
func (t *clusterTopology) close() error {
	if t.client == t.masters {
		return t.client.Close()
	}
	return errors.Join(t.client.Close(), t.masters.Close())
}

func (t *clusterTopology) suspectChange() {
	t.stale.Store(true)
	t.wake()
}

func (t *clusterTopology) wake() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

func (t *clusterTopology) observe(m *metrics.Store) { observeNodes(m, t.list()) }
func (t *clusterTopology) health() (bool, string)   { return nodesHealth(t.list()) }

func (t *clusterTopology) list() []*node {
	t.mu.Lock()
	defer t.mu.Unlock()
	ns := make([]*node, 0, len(t.nodes))
	for _, n := range t.nodes {
		ns = append(ns, n.node)
	}
	return ns
}

func (t *clusterTopology) assign(w *window) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.slots[slotOf(w.key)]
	if n == nil {
		return fmt.Errorf("%w: no node of the cluster serves the channel's slot", ErrUnavailable)
	}
	w.node.Store(n)
	n.enqueue(w, readPlain)
	return nil
}

func (t *clusterTopology) moved(w *window, err error) {
	ask := isReply(err, "ASK ")
	t.mu.Lock()
	t.pending[w] = ask
	t.mu.Unlock()
	if ask { // the slots are as they were
		t.wake()
	} else {
		t.suspectChange()
	}
}

// run keeps the map of the cluster true and a session with each master.
func (t *clusterTopology) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer t.closeAskers()
	t.stale.Store(true)
	for due := time.Now(); ; {
		if t.stale.Swap(false) || !time.Now().Before(due) {
			due = time.Now().Add(jitter(refreshEvery))
			if err := t.refresh(ctx, &wg); err != nil && ctx.Err() == nil {
				t.store.metrics.RedisErrors.WithLabelValues(errorKind(err)).Inc()
				t.store.log.Debug("the cluster's slots could not be asked for", "error", err)
				t.suspectChange()
			}
		}
		t.retryPending(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(jitter(refreshGap)):
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.changed:
		case <-time.After(time.Until(due)):
		}
	}
}

func (t *clusterTopology) closeAskers() {
	for _, c := range t.askers {
		_ = c.Close()
	}
}

// refresh asks for the slots and takes over what it is told.
func (t *clusterTopology) refresh(ctx context.Context, wg *sync.WaitGroup) error {
	ranges, err := t.ask(ctx)
	if err != nil {
		return err
	}
	if old := t.ranges.Swap(&ranges); old == nil || !reflect.DeepEqual(*old, ranges) {
		t.reload(ctx)
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
			t.slots[slot] = n.node
		}
	}
	used := t.reassign()
	for addr, n := range t.nodes {
		if !masters[addr] && !used[n.node] {
			t.remove(addr, n)
		}
	}
	return nil
}

// remove ends the tail of a node that has no slots any more. The caller holds
// mu.
func (t *clusterTopology) remove(addr string, n *clusterNode) {
	n.stop()
	delete(t.nodes, addr)
	if c := t.askers[addr]; c != nil {
		_ = c.Close()
		delete(t.askers, addr)
	}
	for slot := range t.slots {
		if t.slots[slot] == n.node {
			t.slots[slot] = nil
		}
	}
	t.store.log.Info("a node has no slots of the cluster any more", "redis", addr)
}

// start begins to tail a master. The caller holds mu.
func (t *clusterTopology) start(ctx context.Context, wg *sync.WaitGroup, addr string) *clusterNode {
	ctx, stop := context.WithCancel(ctx)
	n := &clusterNode{newNode(t.store, t.endpoint, addr, func(context.Context) (string, error) { return addr, nil }), stop}
	n.verify = n.watchSlots
	if t.endpoint.replicas {
		t.readReplicas(n)
	}
	t.nodes[addr] = n
	wg.Go(func() { runNode(ctx, n.node) })
	return n
}

// reassign gives every window to the node that has its slot now, and returns
// the nodes that have any. The caller holds mu.
func (t *clusterTopology) reassign() map[*node]bool {
	used := make(map[*node]bool)
	for _, w := range t.store.assigned() {
		old, now := w.node.Load(), t.slots[slotOf(w.key)]
		if old == nil {
			continue
		}
		if now == nil { // nobody has the slot; who had it last may get it back
			used[old] = true
			continue
		}
		used[now] = true
		if old == now {
			continue
		}
		old.mu.Lock()
		w.queued = queueState{}
		moved := w.node.CompareAndSwap(old, now) // not if it was closed meanwhile
		old.mu.Unlock()
		if moved {
			now.enqueue(w, readChecked)
			w.mu.Lock()
			w.wake(false) // the one may be stalled and the other not
			w.mu.Unlock()
		}
	}
	return used
}

// retryPending reads again what answered MOVED or ASK: MOVED from the node that
// has it by now; ASK, which means that the slot is on its way and only the new
// node has the key while only the old one has the slot, through the client
// that follows redirections. Such a read arms no tracking. So the old node is
// asked again too: its next ASK brings the window back here, and so on, until
// the slot has arrived.
func (t *clusterTopology) retryPending(ctx context.Context) {
	t.mu.Lock()
	pending := t.pending
	t.pending = make(map[*window]bool)
	t.mu.Unlock()
	for w, ask := range pending {
		n := w.node.Load()
		if n == nil {
			continue
		}
		if ask {
			s := &session{n: n, conn: t.masters}
			if err := s.readVia(ctx, w); err != nil {
				n.log.Debug("a stream could not be read while its slot moves", "error", err)
			}
		}
		n.enqueue(w, readChecked)
	}
}
