package redistest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// clusterLines are the directives of a cluster node.
var clusterLines = []string{
	"cluster-enabled yes",
	"cluster-config-file nodes.conf",
	"cluster-announce-ip 127.0.0.1",
	// Milliseconds of silence until a node is taken for dead. Less, and a
	// loaded machine has failovers of its own.
	"cluster-node-timeout 1500",
	// A replica that was cut off for long may still be promoted: whether it
	// is behind is the test's doing.
	"cluster-replica-validity-factor 0",
	// Who replicates whom changes only when the test says so.
	"cluster-allow-replica-migration no",
}

// Cluster is a Redis Cluster. A node that is down keeps its place in it. Where
// the methods speak of running nodes, a frozen one is not meant.
type Cluster struct {
	t      testing.TB
	cfg    config // of the first node, for the URL and the clients
	opts   []Option
	client *redis.ClusterClient

	mu    sync.Mutex
	nodes []*Server          // guarded by mu; the first masters first, then their replicas
	moves map[int][2]*Server // guarded by mu; slot: from, to
}

// StartCluster starts a cluster with the slots spread evenly over the masters,
// and returns when every node finds it whole and every replica is in sync. The
// options are for every node.
func StartCluster(t testing.TB, masters, replicasPerMaster int, opts ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t, moves: map[int][2]*Server{}}
	first := c.startNode(opts)
	c.cfg = first.cfg
	// The rest has the first one's users and certificates.
	c.opts = opts
	if first.cfg.tls != nil {
		c.opts = append(append([]Option(nil), opts...), WithTLSFiles(first.cfg.tls))
	}
	for len(c.nodes) < masters*(1+replicasPerMaster) {
		c.startNode(c.opts)
	}
	for i, n := range c.nodes {
		// Different epochs from the start, or the nodes spend a while on
		// settling whose word counts.
		n.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		for _, other := range c.nodes[:i] {
			n.Do("CLUSTER", "MEET", "127.0.0.1", other.port)
		}
	}
	for i := range masters {
		c.nodes[i].Do("CLUSTER", "ADDSLOTSRANGE", i*slots/masters, (i+1)*slots/masters-1)
	}
	c.await("the nodes to know each other", c.acquainted)
	for i, n := range c.nodes[masters:] {
		n.Do("CLUSTER", "REPLICATE", c.nodes[i%masters].id())
	}
	c.await("the cluster to be whole", func() bool { return c.whole() && c.replicated(masters*replicasPerMaster) })
	for i, n := range c.nodes[masters:] {
		n.AwaitSync(c.nodes[i%masters])
	}
	c.connect()
	return c
}

func (c *Cluster) startNode(opts []Option) *Server {
	c.t.Helper()
	own := []Option{withMode(modeCluster), withOwn(clusterLines...)}
	if c.cfg.tls != nil || wantsTLS(opts) {
		own = append(own, withOwn("tls-cluster yes"))
	}
	s := Start(c.t, append(own, opts...)...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = append(c.nodes, s)
	return s
}

func wantsTLS(opts []Option) bool {
	var c config
	for _, o := range opts {
		o(&c)
	}
	return c.wantTLS
}

func (c *Cluster) connect() {
	o := &redis.ClusterOptions{
		Addrs: c.Addrs(), Username: harnessUser, Password: harnessPassword, ClientName: harnessName,
		Protocol: 2, DisableIdentity: true,
	}
	if c.cfg.tls != nil {
		o.TLSConfig = c.cfg.tls.ClientConfig()
	}
	c.client = redis.NewClusterClient(o)
	c.t.Cleanup(func() { c.client.Close() })
}

// Client returns a cluster client for the test's own use, logged in as the
// harness's user. It follows redirections; while a master is down its commands
// can fail or, having been sent before, be run twice. It is shared, safe for
// concurrent use, and closed with the test.
func (c *Cluster) Client() *redis.ClusterClient { return c.client }

// XAdd is Server.XAdd on the node that has the key.
func (c *Cluster) XAdd(key string, fields ...string) (id string) {
	c.t.Helper()
	id, err := c.client.Do(context.Background(), xaddArgs(key, fields)...).Text()
	if err != nil {
		c.t.Fatalf("XADD %s: %v", key, err)
	}
	return id
}

// Nodes returns all nodes, running or not, in the order of their start: the
// first masters, then their replicas in turn, then what was added.
func (c *Cluster) Nodes() []*Server {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Server(nil), c.nodes...)
}

// Addrs returns the addresses of all nodes.
func (c *Cluster) Addrs() []string { return addrs(c.Nodes()) }

// URL returns redis+cluster://h:p,h:p,… (rediss+… with TLS), with the password
// of the default user if there is one.
func (c *Cluster) URL() string {
	return c.cfg.url("redis+cluster", c.cfg.defaultUser(), c.Addrs(), "", nil)
}

// Slot returns the hash slot of a key; see the function Slot.
func (c *Cluster) Slot(key string) int { return Slot(key) }

// Masters returns the running nodes that are masters, with or without slots.
func (c *Cluster) Masters() []*Server {
	c.t.Helper()
	return c.filter(func(v view) bool { return v.is("master") })
}

// Replicas returns the running replicas of a master, even of one that is down
// and that nobody has taken over from.
func (c *Cluster) Replicas(master *Server) []*Server {
	c.t.Helper()
	return c.filter(func(v view) bool { return v.is("slave") && c.portOf(v.master) == master.port })
}

// filter returns the running nodes whose view of themselves passes.
func (c *Cluster) filter(keep func(view) bool) []*Server {
	c.t.Helper()
	var out []*Server
	for _, n := range c.running() {
		v, err := n.self()
		if err != nil {
			c.t.Fatalf("cluster node on %s: %v", n, err)
		}
		if keep(v) {
			out = append(out, n)
		}
	}
	return out
}

// NodeFor returns the running master that has a key's slot; the test fails if
// there is none.
func (c *Cluster) NodeFor(key string) *Server {
	c.t.Helper()
	return c.Owner(Slot(key))
}

// Owner returns the running master that has a slot; the test fails if there is
// none. When two claim it, as after a takeover, the newer claim counts.
func (c *Cluster) Owner(slot int) *Server {
	c.t.Helper()
	owner, err := c.owner(slot)
	if err != nil {
		c.t.Fatal(err)
	}
	return owner
}

func (c *Cluster) owner(slot int) (*Server, error) {
	var owner *Server
	epoch := -1
	for _, n := range c.running() {
		v, err := n.self()
		if err != nil {
			return nil, fmt.Errorf("cluster node on %s: %w", n, err)
		}
		if v.owns(slot) && v.epoch > epoch {
			owner, epoch = n, v.epoch
		}
	}
	if owner == nil {
		return nil, fmt.Errorf("no running cluster node has slot %d", slot)
	}
	return owner, nil
}

// AddMaster starts another node and joins it, as a master without slots; see
// MoveSlot.
func (c *Cluster) AddMaster() *Server {
	c.t.Helper()
	others := c.running()
	s := c.startNode(c.opts)
	for _, n := range others {
		s.Do("CLUSTER", "MEET", "127.0.0.1", n.port)
	}
	c.await("the new node "+s.Addr()+" to be known", func() bool { return c.acquainted() && c.whole() })
	return s
}
