package topology

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/sse-gateway/sse-gateway/store/redisstream"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
	"github.com/sse-gateway/sse-gateway/store/resp"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

const (
	// verifyEvery is how often a node looks whether it follows the right server.
	verifyEvery = time.Second
	// lagPatience is how long a replica may be behind its master before another
	// server is followed.
	lagPatience = tail.StalledAfter
)

var (
	errNotMaster  = errors.New("the server is not the master any more")
	errNotReplica = errors.New("the server is not a replica any more")
)

// Node is a master and its replicas, of which one server is followed: a replica
// that has what the master has, if replicas are to be read from, or else the
// master. It is the tail.Server of its tail.Node. Its methods may be called
// concurrently.
type Node struct {
	*tail.Node // its name is the master's address or, with Sentinel, the master's name

	// HistoryReads bounds the reads of history from this node, so that one that
	// hangs delays no other's.
	HistoryReads *semaphore.Weighted

	topo     *Topology
	stop     context.CancelFunc          // ends Run; only of a cluster
	replicas []string                    // addresses; only of a cluster; guarded by topo.mu
	target   atomic.Pointer[tail.Target] // the server that is followed; nil at first
	provenAt atomic.Pointer[time.Time]   // the replica has all that the master had then
}

// newNode adds a node to the topology, whose mu the caller holds.
func (t *Topology) newNode(name string) *Node {
	n := &Node{topo: t, HistoryReads: semaphore.NewWeighted(int64(t.options.HistoryReads))}
	n.Node = tail.NewNode(t.options.Tail, name, n)
	now := time.Now()
	n.provenAt.Store(&now)
	t.nodes[name] = n
	return n
}

// members returns the addresses of the master and its replicas.
func (n *Node) members(ctx context.Context) (master string, replicas []string, err error) {
	if len(n.topo.sentinels) > 0 {
		return n.topo.askSentinels(ctx)
	}
	n.topo.mu.Lock()
	defer n.topo.mu.Unlock()
	return n.Name(), n.replicas, nil
}

// ReplicaLag returns whether a replica is followed, and how long ago it was last
// known to have all that its master had.
func (n *Node) ReplicaLag(now time.Time) (lag time.Duration, replica bool) {
	if t := n.target.Load(); t == nil || !t.Replica {
		return 0, false
	}
	return max(now.Sub(*n.provenAt.Load()), 0), true
}

// Querier reads from the server that the tail follows, so that tail and history
// never see two copies of a stream. Until there is one, it is the master.
func (n *Node) Querier(ctx context.Context) (redisstream.Querier, error) {
	if t := n.target.Load(); t != nil {
		return querier{n.topo.clients, t.Addr}, nil
	}
	addr, _, err := n.members(ctx)
	if err != nil {
		return nil, err
	}
	return querier{n.topo.clients, addr}, nil
}

// Master reads from the master, where the server that is followed cannot tell: a
// replica, which may be behind, or a node of a cluster from which the key is on
// its way to another. It is nil if there is no other server than the one that is
// followed.
func (n *Node) Master(ctx context.Context) (redisstream.Querier, error) {
	isCluster := n.topo.clients.isCluster()
	if !n.topo.options.ReadReplicas && !isCluster {
		return nil, nil
	}
	addr, _, err := n.members(ctx)
	if err == nil && !isCluster { // one of a cluster says itself that it is none, by MOVED
		err = requireMaster(n.topo.clients.asker(ctx, addr))
	}
	if err != nil {
		return nil, err
	}
	return querier{n.topo.clients, addr}, nil
}

// requireMaster asks a server whether it is a master.
func requireMaster(c tail.Asker) error {
	role, err := c.Do("ROLE")
	if err != nil {
		return err
	}
	if v, ok := role.([]any); !ok || len(v) == 0 || v[0] != "master" {
		return errNotMaster
	}
	return nil
}

// Locate is of tail.Server.
func (n *Node) Locate(ctx context.Context) (tail.Target, error) {
	master, replicas, err := n.members(ctx)
	if err != nil {
		return tail.Target{}, err
	}
	next := tail.Target{Addr: master}
	var why error
	if n.topo.options.ReadReplicas {
		var replica string
		if replica, why = n.fitReplica(ctx, master, replicas, questionTimeout); why == nil {
			next.Addr, next.Replica = replica, true
		}
		next.ReadOnly = n.topo.clients.isCluster()
	}
	old := n.target.Swap(&next)
	if old != nil && old.Addr != next.Addr {
		n.topo.clients.forget(old.Addr) // its reads are tried again, with the new one
	}
	log := n.topo.options.Tail.Log.With("redis", n.Name(), "addr", next.Addr)
	switch {
	case old != nil && *old == next:
	case next.Replica:
		log.Info("reading from a replica")
	case why != nil:
		log.Warn("no replica can be read from: reading from the master", "error", why)
	}
	return next, nil
}

// Verify is of tail.Server. It ends a session with a master that is none any more.
func (n *Node) Verify(c tail.Asker) error {
	switch topology := n.topo.options.Address.Topology; {
	case n.target.Load().Replica: // Watch asks it how far it is
		return nil
	case topology == redisurl.Cluster:
		return n.verifyShard(c)
	case topology == redisurl.Sentinel:
		return requireMaster(c)
	}
	return nil
}

// Changed is of tail.Server.
func (n *Node) Changed(because error) {
	switch moved, ask := resp.IsMoved(because), resp.IsAsk(because); {
	case !n.topo.clients.isCluster() && (moved || ask):
		// Its channels on other nodes are out of reach until the configuration is
		// corrected.
		n.topo.options.Tail.Log.Error("redis is a cluster: use a redis+cluster:// URL", "redis", n.Name(), "error", because)
	case !ask: // else the slots are as they were
		select {
		case n.topo.stale <- struct{}{}:
		default:
		}
	}
}

// Watch is of tail.Server. It ends a session with a master that is none any more,
// or for which there is a replica, and one with a replica that is none any more or behind. What
// made the replicas unfit is seldom over at once, so they are looked for after
// ReturnWait, over which all gateways come back spread.
func (n *Node) Watch(ctx context.Context, t tail.Target) error {
	wait := n.topo.options.ReturnWait
	returnTime := func() time.Time { return time.Now().Add(wait/2 + rand.N(wait)) }
	returnAt := returnTime()
	for sleep(ctx, tail.Jitter(verifyEvery)) {
		master, replicas, err := n.members(ctx)
		switch {
		case err != nil: // the server that is there is better than none
		case t.Replica:
			if _, err := n.fitReplica(ctx, master, []string{t.Addr}, lagPatience); err != nil && ctx.Err() == nil {
				return fmt.Errorf("%w: %w", tail.ErrSwitchServer, err)
			}
		case master != t.Addr:
			return fmt.Errorf("%w: it is now %s", errNotMaster, master)
		case n.topo.options.ReadReplicas && time.Now().After(returnAt):
			if addr, err := n.fitReplica(ctx, master, replicas, questionTimeout); err == nil {
				return fmt.Errorf("%w: the replica %s is fit", tail.ErrSwitchServer, addr)
			}
			returnAt = returnTime()
		}
	}
	return nil
}
