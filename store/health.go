package store

import (
	"strings"
	"time"
)

// Readiness says when a store counts as ready.
type Readiness uint8

// The kinds of Readiness.
const (
	// ReadyAny: at least one node of Redis is alive. A dead shard must not take
	// those that live out of a load balancer.
	ReadyAny Readiness = iota
	// ReadyAll: all nodes are alive.
	ReadyAll
	// ReadyStarted: all nodes were alive once since the start.
	ReadyStarted
)

// Health reports whether the store is ready, as Config.Ready has it. The
// description has a line for each node of Redis, with the last error of those
// that are not alive.
func (s *Store) Health() (ready bool, description string) {
	nodes, now := s.topo.Nodes(), time.Now()
	if len(nodes) == 0 {
		return false, "the nodes of the Redis cluster are not known yet"
	}
	alive, started := 0, 0
	lines := make([]string, len(nodes))
	for i, n := range nodes {
		lines[i] = n.Status(now)
		if n.Alive(now) {
			alive++
		}
		if n.Started() {
			started++
		}
	}
	switch s.cfg.Ready {
	case ReadyAll:
		ready = alive == len(nodes)
	case ReadyStarted:
		if started == len(nodes) {
			s.started.Store(true) // and stays so, whatever nodes are added
		}
		ready = s.started.Load()
	default:
		ready = alive > 0
	}
	return ready, strings.Join(lines, "\n")
}

// observe keeps the gauges about Redis true.
func (s *Store) observe(now time.Time) {
	nodes := s.topo.Nodes()
	up, replicas := len(nodes) > 0, 0
	var lag, replicaLag time.Duration
	for _, n := range nodes {
		up = up && n.Alive(now)
		lag = max(lag, n.Lag(now))
		if l, replica := n.ReplicaLag(now); replica {
			replicas++
			replicaLag = max(replicaLag, l)
		}
	}
	m := &s.metrics
	m.TailUp.Set(0)
	if up {
		m.TailUp.Set(1)
	}
	m.TailNodes.Set(float64(len(nodes)))
	m.TailReplicas.Set(float64(replicas))
	m.ReplicaLag.Set(replicaLag.Seconds())
	m.TailLag.Set(lag.Seconds())
}
