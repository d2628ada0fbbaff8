package topology

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

// Options are those of New.
type Options struct {
	Address      *redisurl.Address
	ReadReplicas bool          // read from replicas rather than masters; not of a single server
	ReturnWait   time.Duration // about how long a master is followed before a replica is looked for again
	HistoryReads int           // at once, from one node; see Node.HistoryReads
	Tail         *tail.Config
}

// Topology knows the nodes of a Redis and which of them has a key. Its methods
// may be called concurrently.
type Topology struct {
	options   Options
	clients   *clients
	sentinels []*redis.SentinelClient
	stale     chan struct{} // capacity 1: ask for the map of slots again

	// mu guards the map of slots and, with it, which node a source is given to.
	// Lock order: mu before that of a tail.Node.
	mu    sync.Mutex
	slots [slots]*Node // all the same one, unless it is a cluster
	nodes map[string]*Node
}

// New returns the topology that the address names. It asks nobody yet.
func New(o Options) *Topology {
	t := &Topology{options: o, clients: &clients{options: o, all: make(map[string]*client)}, stale: make(chan struct{}, 1), nodes: make(map[string]*Node)}
	name := o.Address.Addrs[0]
	switch o.Address.Topology {
	case redisurl.Cluster:
		return t
	case redisurl.Sentinel:
		t.sentinels, name = newSentinels(o.Address), o.Address.Master
	}
	n := t.newNode(name)
	for slot := range t.slots {
		t.slots[slot] = n
	}
	return t
}

// Close closes the clients. It is called after Run has returned.
func (t *Topology) Close() error {
	errs := []error{t.clients.close()}
	for _, s := range t.sentinels {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Nodes returns the nodes; none as long as those of a cluster are unknown.
func (t *Topology) Nodes() []*Node {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Values(t.nodes))
}

// errNoNode is returned for a key that no node of a cluster serves.
var errNoNode = fmt.Errorf("%w: no node of the cluster serves the channel's slot", rediserr.ErrUnreachable)

// NodeOf returns the node that has a key. The error wraps ErrUnreachable of
// package rediserr if none does.
func (t *Topology) NodeOf(key string) (*Node, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.slots[slotOf(key)]; n != nil {
		return n, nil
	}
	return nil, errNoNode
}

// Follow gives a source to the node that has its key, and to another one when the
// key moves. The error is that of NodeOf.
func (t *Topology) Follow(s *tail.Source) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.slots[slotOf(s.Key)]
	if n == nil {
		return errNoNode
	}
	n.Add(s)
	return nil
}

// Run follows the nodes until ctx ends. It is called once.
func (t *Topology) Run(ctx context.Context) {
	if t.clients.isCluster() {
		t.runCluster(ctx)
		return
	}
	for _, n := range t.Nodes() {
		n.Run(ctx)
	}
}
