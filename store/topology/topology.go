package topology

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/rediserr"
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
	Nodes() []*tail.Node
	// NodeOf returns the node that has a key. The error wraps ErrUnreachable of
	// package rediserr if none does.
	NodeOf(key string) (*tail.Node, error)
	// Follow gives a source to the node that has its key, and to another one
	// when the key moves. The error is that of NodeOf.
	Follow(s *tail.Source) error
	// Client returns the client for reads of history, from the server that the
	// tail follows. The error is that of NodeOf.
	Client(ctx context.Context) (redis.UniversalClient, error)
	// Master returns a client of the masters if Client's is one of replicas,
	// which may be behind; nil otherwise.
	Master(ctx context.Context) (redis.UniversalClient, error)
	// Replicas returns how many nodes are replicas, and how long ago the one
	// that is furthest behind was known to have all that its master had.
	Replicas(now time.Time) (n int, lag time.Duration)
}

// Options are those of New.
type Options struct {
	Address      *redisurl.Address
	ReadReplicas bool // read from replicas rather than masters; not of a single server
	HistoryReads int  // at once, from one node; see tail.Node.HistoryReads
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

// DialTimeout bounds one attempt to connect, and ReplyTimeout the wait for a
// reply of history.
const (
	DialTimeout  = 3 * time.Second
	ReplyTimeout = 2 * time.Second
)

// clientOptions are the settings of a client for reads of history. RESP2 is
// enough for them, and go-redis carries on with a server that refuses its HELLO.
// What one retry does not help with takes long, and whoever waits can try again.
// (A command whose reply goes to a Sink is not repeated by go-redis.)
func (o *Options) clientOptions(addr string) *redis.Options {
	c := o.Address.Options(addr)
	c.Protocol, c.DisableIdentity, c.ContextTimeoutEnabled = 2, true, true
	c.DialTimeout, c.ReadTimeout, c.WriteTimeout = DialTimeout, ReplyTimeout, ReplyTimeout
	c.PoolSize, c.PipelinePoolSize, c.MaxRetries = o.HistoryReads, o.HistoryReads, 1
	return c
}

// questionClient returns a client for questions to one server, which has a time
// to answer and is asked again later.
func (o *Options) questionClient(addr string) *redis.Client {
	c := o.clientOptions(addr)
	c.DialTimeout, c.ReadTimeout, c.WriteTimeout = questionTimeout, questionTimeout, questionTimeout
	c.PoolSize, c.PipelinePoolSize, c.MaxRetries, c.DialerRetries = 1, 0, -1, 1
	return redis.NewClient(c)
}

// clientAsker is a tail.Asker over a client.
type clientAsker struct {
	ctx    context.Context
	client *redis.Client
}

func (a clientAsker) Do(args ...string) (any, error) {
	all := make([]any, len(args))
	for i, arg := range args {
		all[i] = arg
	}
	return a.client.Do(a.ctx, all...).Result()
}

// oneNode is what the topologies with a single node have in common.
type oneNode struct {
	node *tail.Node
	log  *slog.Logger
}

func (t *oneNode) Run(ctx context.Context)           { t.node.Run(ctx) }
func (t *oneNode) Nodes() []*tail.Node               { return []*tail.Node{t.node} }
func (t *oneNode) NodeOf(string) (*tail.Node, error) { return t.node, nil }

func (t *oneNode) Follow(s *tail.Source) error {
	t.node.Add(s)
	return nil
}

// Changed is of tail.Server: there is no other node to look for. A server that
// redirects is a cluster, which the URL does not make known. Its channels on
// other nodes are out of reach until the configuration is corrected.
func (t *oneNode) Changed(because error) {
	if resp.IsMoved(because) || resp.IsAsk(because) {
		t.log.Error("redis is a cluster: use a redis+cluster:// URL", "redis", t.node.Name(), "error", because)
	}
}

// single is one server, at the address of the URL.
type single struct {
	oneNode
	addr   string
	client *redis.Client
}

func newSingle(o Options) *single {
	t := &single{addr: o.Address.Addrs[0]}
	t.client = redis.NewClient(o.clientOptions(t.addr))
	t.oneNode = oneNode{tail.NewNode(o.Tail, t.addr, t, o.HistoryReads), o.Tail.Log}
	return t
}

func (t *single) Close() error                                          { return t.client.Close() }
func (t *single) Client(context.Context) (redis.UniversalClient, error) { return t.client, nil }
func (t *single) Master(context.Context) (redis.UniversalClient, error) { return nil, nil }
func (t *single) Replicas(time.Time) (int, time.Duration)               { return 0, 0 }

// Locate, Verify and Watch are of tail.Server: the server is always the one.
func (t *single) Locate(context.Context) (tail.Target, error) { return tail.Target{Addr: t.addr}, nil }
func (t *single) Verify(tail.Asker) error                     { return nil }
func (t *single) Watch(context.Context, tail.Target) error    { return nil }

// errNoNode is returned for a key that no node of a cluster serves.
var errNoNode = fmt.Errorf("%w: no node of the cluster serves the channel's slot", rediserr.ErrUnreachable)
