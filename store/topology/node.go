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
	"github.com/sse-gateway/sse-gateway/store/tail"
)

const (
	// verifyEvery is how often a node looks whether it follows the right server.
	verifyEvery = time.Second
	// lagPatience is how long a replica may be behind its master before another
	// server is followed.
	lagPatience = tail.StalledAfter
	// returnWait is about how long the master is followed before a replica is
	// looked for again: what made the replicas unfit is seldom over at once. All
	// gateways come back spread over this time.
	returnWait = 10 * time.Second
)

// group tells a Node what it is: a master and its replicas.
type group interface {
	// members returns the addresses of the master and its replicas.
	members(ctx context.Context) (master string, replicas []string, err error)
	// verify asks over a connection to the master whether it still is the one.
	verify(master tail.Asker) error
	// canReplace asks the master whether a replica can be read in its place. The
	// error wraps tail.ErrSwitchServer if none can for the moment.
	canReplace(master tail.Asker) error
	// changed is Changed of tail.Server.
	changed(because error)
}

// Node is a master and its replicas, of which one server is followed: a replica
// that has what the master has, if replicas are to be read from, or else the
// master. Its methods may be called concurrently.
type Node struct {
	*tail.Node

	// HistoryReads bounds the reads of history from this node, so that one that
	// hangs delays no other's.
	HistoryReads *semaphore.Weighted

	group
	clients  *clients
	target   atomic.Pointer[tail.Target] // the server that is followed; nil at first
	provenAt atomic.Pointer[time.Time]   // the replica has all that the master had then
}

func newNode(cs *clients, name string, g group) *Node {
	n := &Node{group: g, clients: cs, HistoryReads: semaphore.NewWeighted(int64(cs.options.HistoryReads))}
	n.Node = tail.NewNode(cs.options.Tail, name, n)
	now := time.Now()
	n.provenAt.Store(&now)
	return n
}

// followsReplica reports whether a replica is followed.
func (n *Node) followsReplica() bool {
	t := n.target.Load()
	return t != nil && t.Replica
}

// ReplicaLag returns whether a replica is followed, and how long ago it was last
// known to have all that its master had.
func (n *Node) ReplicaLag(now time.Time) (lag time.Duration, replica bool) {
	if !n.followsReplica() {
		return 0, false
	}
	return max(now.Sub(*n.provenAt.Load()), 0), true
}

// Querier reads from the server that the tail follows, so that tail and history
// never see two copies of a stream. Until there is one, it is the master.
func (n *Node) Querier(ctx context.Context) (redisstream.Querier, error) {
	if t := n.target.Load(); t != nil {
		return n.clients.querier(t.Addr), nil
	}
	addr, _, err := n.members(ctx)
	if err != nil {
		return nil, err
	}
	return n.clients.querier(addr), nil
}

// Master reads from the master, where the server that is followed cannot tell: a
// replica, which may be behind, or a node of a cluster from which the key is on
// its way to another. It is nil if there is no other server than the one that is
// followed. It is of tail.Server as well.
func (n *Node) Master(ctx context.Context) (redisstream.Querier, error) {
	if !n.clients.options.ReadReplicas && !n.clients.isCluster() {
		return nil, nil
	}
	addr, _, err := n.members(ctx)
	if err != nil {
		return nil, err
	}
	q := n.clients.querier(addr)
	if q.At == nil { // one of a cluster says itself that it is none, by MOVED
		err = requireMaster(asker{ctx, q.Client})
	}
	return q, err
}

// Locate is of tail.Server.
func (n *Node) Locate(ctx context.Context) (tail.Target, error) {
	master, replicas, err := n.members(ctx)
	if err != nil {
		return tail.Target{}, err
	}
	next := tail.Target{Addr: master}
	var why error
	if n.clients.options.ReadReplicas {
		if next.Addr, why = n.fitReplica(ctx, master, replicas); why == nil {
			next.Replica = true
		} else {
			next.Addr = master
		}
		next.ReadOnly = n.clients.isCluster()
	}
	old := n.target.Swap(&next)
	if old != nil && old.Addr != next.Addr {
		n.clients.forget(old.Addr) // its reads are tried again, with the new one
	}
	log := n.clients.options.Tail.Log.With("redis", n.Name(), "addr", next.Addr)
	switch {
	case old != nil && *old == next:
	case next.Replica:
		log.Info("reading from a replica")
	case why != nil:
		log.Warn("no replica can be read from: reading from the master", "error", why)
	}
	return next, nil
}

// Verify is of tail.Server. It ends a session with a server whose part in
// replication has changed.
func (n *Node) Verify(c tail.Asker) error {
	if !n.followsReplica() {
		return n.verify(c)
	}
	r, err := askReplication(c)
	if err == nil && r.master {
		err = fmt.Errorf("%w: %w", tail.ErrSwitchServer, errNotReplica)
	}
	return err
}

// Changed is of tail.Server.
func (n *Node) Changed(because error) { n.changed(because) }

func returnTime() time.Time { return time.Now().Add(returnWait/2 + rand.N(returnWait)) }

// Watch is of tail.Server. It ends a session with a master that is none any more,
// or for which there is a replica, and one with a replica that is behind.
func (n *Node) Watch(ctx context.Context, t tail.Target) error {
	returnAt := returnTime()
	for sleep(ctx, tail.Jitter(verifyEvery)) {
		master, replicas, err := n.members(ctx)
		switch {
		case err != nil: // the server that is there is better than none
		case t.Replica:
			err := n.watchReplica(ctx, master, t.Addr)
			if errors.Is(err, tail.ErrSwitchServer) && ctx.Err() == nil {
				return err
			}
		case master != t.Addr:
			return fmt.Errorf("%w: it is now %s", errNotMaster, master)
		case n.clients.options.ReadReplicas && time.Now().After(returnAt):
			if addr, err := n.fitReplica(ctx, master, replicas); err == nil {
				return fmt.Errorf("%w: the replica %s is fit", tail.ErrSwitchServer, addr)
			}
			returnAt = returnTime()
		}
	}
	return nil
}
