package topology

import (
	"context"
	"errors"

	"github.com/sse-gateway/sse-gateway/store/redisurl"
	"github.com/sse-gateway/sse-gateway/store/resp"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

// Topology knows the nodes of a Redis and which of them has a key. Its methods
// may be called concurrently.
type Topology interface {
	// Run follows the nodes until ctx ends. It is called once.
	Run(ctx context.Context)
	// Close closes the clients. It is called after Run has returned.
	Close() error
	// Nodes returns the nodes; none as long as those of a cluster are unknown.
	Nodes() []*Node
	// NodeOf returns the node that has a key. The error wraps ErrUnreachable of
	// package rediserr if none does.
	NodeOf(key string) (*Node, error)
	// Follow gives a source to the node that has its key, and to another one
	// when the key moves. The error is that of NodeOf.
	Follow(s *tail.Source) error
}

// Options are those of New.
type Options struct {
	Address      *redisurl.Address
	ReadReplicas bool // read from replicas rather than masters; not of a single server
	HistoryReads int  // at once, from one node; see Node.HistoryReads
	Tail         *tail.Config
}

// New returns the topology that the address names. It asks nobody yet.
func New(o Options) Topology {
	switch o.Address.Topology {
	case redisurl.Cluster:
		return newCluster(o)
	case redisurl.Sentinel:
		return newSentinel(o)
	}
	return newSingle(o)
}

// oneNode is what the topologies with a single node have in common.
type oneNode struct {
	node    *Node
	clients *clients
}

func (t *oneNode) Run(ctx context.Context)      { t.node.Run(ctx) }
func (t *oneNode) Close() error                 { return t.clients.close() }
func (t *oneNode) Nodes() []*Node               { return []*Node{t.node} }
func (t *oneNode) NodeOf(string) (*Node, error) { return t.node, nil }

func (t *oneNode) Follow(s *tail.Source) error {
	t.node.Add(s)
	return nil
}

// canReplace is of group: a replica has all keys of its master.
func (t *oneNode) canReplace(tail.Asker) error { return nil }

// changed is of group: there is no other node to look for. A server that
// redirects is a cluster, which the URL does not make known. Its channels on
// other nodes are out of reach until the configuration is corrected.
func (t *oneNode) changed(because error) {
	if resp.IsMoved(because) || resp.IsAsk(because) {
		t.clients.options.Tail.Log.Error("redis is a cluster: use a redis+cluster:// URL", "redis", t.node.Name(), "error", because)
	}
}

// single is one server, at the address of the URL.
type single struct {
	oneNode
	addr string
}

func newSingle(o Options) *single {
	t := &single{addr: o.Address.Addrs[0]}
	t.clients = newClients(o)
	t.node = newNode(t.clients, t.addr, t)
	return t
}

// members and verify are of group: the server is always the one.
func (t *single) members(context.Context) (string, []string, error) { return t.addr, nil, nil }
func (t *single) verify(tail.Asker) error                           { return nil }

var (
	errNotMaster  = errors.New("the server is not the master any more")
	errNotReplica = errors.New("the server is not a replica any more")
)

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
