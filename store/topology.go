package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

// topologyManager knows the nodes and which of them has a key.
type topologyManager interface {
	run(ctx context.Context) error
	close() error
	// historyClient returns the client for reads that are not the tail's.
	historyClient() redis.UniversalClient
	// authority returns a client of the masters if historyClient's is one of
	// replicas, which may be behind; nil otherwise.
	authority(ctx context.Context) (redis.UniversalClient, error)
	// assign gives an open window to the node that has its key.
	assign(w *window) error
	// moved takes note that a node answered MOVED or ASK for a window's key.
	moved(w *window, err error)
	// suspectChange takes note that a node may have been replaced.
	suspectChange()
	health() (ok bool, reason string)
	observe(m *metrics.Store)
}

func newTopology(s *Store, e *endpoint) topologyManager {
	switch e.Topology {
	case redisurl.Cluster:
		return newClusterTopology(s, e)
	case redisurl.Sentinel:
		return newSentinelTopology(s, e)
	}
	t := &singleTopology{client: redis.NewClient(e.historyOptions(e.Addrs[0]))}
	t.node = newNode(s, e, e.Addrs[0], func(context.Context) (string, error) { return e.Addrs[0], nil })
	return t
}

// historyOptions are the settings of a client for reads of history. What one
// retry does not help with takes long, and whoever waits can try again by
// itself. (A command whose reply a keeper takes is not repeated by go-redis; a
// connection that broke while it was idle is then history's own to look after.)
func (e *endpoint) historyOptions(addr string) *redis.Options {
	o := e.options(addr)
	o.PoolSize, o.PipelinePoolSize, o.MaxRetries = historyConns, historyConns, 1
	return o
}

// oneServer is what the topologies with a single node have in common.
type oneServer struct{ node *node }

func (t *oneServer) run(ctx context.Context) error {
	runNode(ctx, t.node)
	return nil
}
func (t *oneServer) suspectChange()           {}
func (t *oneServer) observe(m *metrics.Store) { observeNodes(m, []*node{t.node}) }
func (t *oneServer) health() (bool, string)   { return nodesHealth([]*node{t.node}) }

func (t *oneServer) assign(w *window) error {
	w.node.Store(t.node)
	t.node.enqueue(w, readPlain)
	return nil
}

// moved: this is a cluster, which the URL does not make known. Its channels on
// other nodes are out of reach until the configuration is mended.
func (t *oneServer) moved(_ *window, err error) {
	t.node.log.Error("redis is a cluster: use a redis+cluster:// URL", "error", err)
}

// singleTopology is one server, at the address of the URL.
type singleTopology struct {
	oneServer
	client *redis.Client
}

func (t *singleTopology) close() error                         { return t.client.Close() }
func (t *singleTopology) historyClient() redis.UniversalClient { return t.client }

func (t *singleTopology) authority(context.Context) (redis.UniversalClient, error) { return nil, nil }

// runNode keeps a node's session open and its stalled state true until ctx
// ends.
func runNode(ctx context.Context, n *node) {
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(StalledAfter / 20)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				n.updateStalled(now)
			}
		}
	})
	n.run(ctx)
	wg.Wait()
}

func observeNodes(m *metrics.Store, nodes []*node) {
	now := time.Now()
	up, lag := len(nodes) > 0, time.Duration(0)
	replicas, replicaLag := 0, time.Duration(0)
	for _, n := range nodes {
		if n.replicas != nil && n.replicas.fromReplica() {
			replicas++
			replicaLag = max(replicaLag, n.replicas.lag(now))
		}
		up = up && n.isAlive(now)
		lag = max(lag, n.lag(now))
	}
	m.TailUp.Set(0)
	if up {
		m.TailUp.Set(1)
	}
	m.TailNodes.Set(float64(len(nodes)))
	m.TailReplicas.Set(float64(replicas))
	m.ReplicaLag.Set(replicaLag.Seconds())
	m.TailLag.Set(lag.Seconds())
}

func nodesHealth(nodes []*node) (bool, string) {
	if len(nodes) == 0 {
		return false, "the nodes of the Redis cluster are not known yet"
	}
	now := time.Now()
	for _, n := range nodes {
		switch {
		case n.isAlive(now):
		case n.denied.Load():
			return false, fmt.Sprintf("redis %s refuses the gateway's user", n.name)
		case !n.proved.Load():
			return false, fmt.Sprintf("redis %s has not been reached yet", n.name)
		default:
			return false, fmt.Sprintf("redis %s has been unreachable since %s", n.name,
				n.alive.Load().UTC().Format(time.RFC3339))
		}
	}
	return true, ""
}
