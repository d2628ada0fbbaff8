package redistest

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"testing"
)

const (
	// sentinels and quorum: the smallest group that survives one's death.
	sentinels = 3
	quorum    = 2

	// downAfter is how long, in milliseconds, a master must be silent for a
	// failover. Less, and a loaded machine has failovers of its own.
	downAfter = 1000
	// failoverTimeout, in milliseconds, bounds one try of a failover; the next
	// may begin after twice that.
	failoverTimeout = 5000
)

// hello is SENTINEL DEBUG for how often, in milliseconds, a sentinel announces
// itself. Often, they find each other at once. But four times this is also how
// long they let another's failover go on before they turn the promoted replica
// back, and the one at work sees the promotion only with a fixed delay of up to
// a second.
func hello(period int) []any { return []any{"SENTINEL", "DEBUG", "publish-period", period} }

const (
	helloGathering = 200
	helloWatching  = 1000
)

// sentinelDebug shortens the fixed periods of a sentinel, in milliseconds, so
// that discovery and failover take a second rather than ten. And a sentinel that
// was held up (by a loaded machine or by Pause) stands aside for 2 s, not 30.
// The settings are lost when a sentinel restarts.
var sentinelDebug = []any{
	"SENTINEL", "DEBUG", "info-period", 200, "ping-period", 200, "ask-period", 200,
	"election-timeout", 2000, "tilt-period", 2000,
}

// Sentinel is a master with replicas, watched by three sentinels.
type Sentinel struct {
	t    testing.TB
	name string
	cfg  *config // of the sentinels
	data *config // of the servers

	nodes   []*Server
	servers []*Server // the first was the first master
}

// StartSentinel starts replicas of master and three sentinels (quorum 2,
// down-after-milliseconds 1000) that watch it as masterName, and returns when
// each sentinel knows all the others and all the replicas. The replicas and the
// sentinels have the certificates of master, the replicas its users too. The
// options are for the sentinels: WithPassword protects them, not the servers.
func StartSentinel(t testing.TB, masterName string, master *Server, replicas int, opts ...Option) *Sentinel {
	t.Helper()
	g := &Sentinel{t: t, name: masterName, data: &master.cfg, servers: []*Server{master}}
	for range replicas {
		g.servers = append(g.servers, StartReplica(t, master))
	}
	own := []string{
		"sentinel monitor " + masterName + " 127.0.0.1 " + strconv.Itoa(master.port) + " " + strconv.Itoa(quorum),
		"sentinel auth-user " + masterName + " " + harnessUser,
		"sentinel auth-pass " + masterName + " " + harnessPassword,
		"sentinel down-after-milliseconds " + masterName + " " + strconv.Itoa(downAfter),
		"sentinel failover-timeout " + masterName + " " + strconv.Itoa(failoverTimeout),
		"sentinel parallel-syncs " + masterName + " 1",
		"sentinel sentinel-user " + harnessUser,
		"sentinel sentinel-pass " + harnessPassword,
	}
	all := []Option{withMode(modeSentinel), withOwn(own...)}
	if master.cfg.tls != nil {
		all = append(all, WithTLSFiles(master.cfg.tls))
	}
	for range sentinels {
		node := Start(t, append(all, opts...)...)
		node.Do(sentinelDebug...)
		node.Do(hello(helloGathering)...)
		g.nodes = append(g.nodes, node)
	}
	g.cfg = &g.nodes[0].cfg
	Eventually(t, settleTimeout, "the sentinels to know each other and the replicas", func() bool {
		for _, n := range g.nodes {
			m := n.stringMap("SENTINEL", "MASTER", masterName)
			if m["num-other-sentinels"] != strconv.Itoa(sentinels-1) || m["num-slaves"] != strconv.Itoa(replicas) || m["flags"] != "master" {
				return false
			}
		}
		return true
	})
	for _, n := range g.nodes {
		n.Do(hello(helloWatching)...)
	}
	return g
}

// Addrs returns the addresses of the sentinels.
func (g *Sentinel) Addrs() []string { return addrs(g.nodes) }

// Nodes returns the sentinels.
func (g *Sentinel) Nodes() []*Server { return append([]*Server(nil), g.nodes...) }

// Servers returns the master and the replicas; the one that was given to
// StartSentinel comes first, whatever it is now.
func (g *Sentinel) Servers() []*Server { return slices.Clone(g.servers) }

// URL returns redis+sentinel://h1:p1,h2:p2,h3:p3/0?master=NAME, or rediss+… with
// TLS, with the passwords that the default users of the servers and of the
// sentinels have.
func (g *Sentinel) URL() string {
	query := url.Values{"master": {g.name}}
	if g.cfg.password != "" {
		query.Set("sentinel_password", g.cfg.password)
	}
	return g.data.url("redis+sentinel", g.data.defaultUser(), g.Addrs(), "/0", query)
}

// Master returns the server that the sentinels say is the master. During a
// failover that can be a server that is down.
func (g *Sentinel) Master() *Server {
	g.t.Helper()
	for _, n := range g.nodes {
		if n.responsive() {
			s, err := g.masterSeenBy(n)
			if err != nil {
				g.t.Fatalf("sentinel on %s: %v", n, err)
			}
			return s
		}
	}
	g.t.Fatalf("no sentinel is running")
	return nil
}

func (g *Sentinel) masterSeenBy(sentinel *Server) (*Server, error) {
	reply, err := sentinel.try("SENTINEL", "GET-MASTER-ADDR-BY-NAME", g.name)
	if err != nil {
		return nil, err
	}
	parts, ok := reply.([]any)
	if !ok || len(parts) != 2 {
		return nil, fmt.Errorf("it knows no master %q", g.name)
	}
	for _, s := range g.Servers() {
		if fmt.Sprint(parts[1]) == strconv.Itoa(s.port) {
			return s, nil
		}
	}
	return nil, fmt.Errorf("its master is at %v, which is none of ours", parts)
}

// Failover orders a failover of a master that works (SENTINEL FAILOVER) and
// returns the new master when AwaitFailover does. The old one becomes a replica
// about five seconds later; AwaitSync waits for that too.
func (g *Sentinel) Failover() *Server {
	g.t.Helper()
	old := g.Master()
	var last error
	accepted := Poll(settleTimeout, func() bool {
		for _, n := range g.nodes {
			if !n.responsive() {
				continue
			}
			// A sentinel refuses while it has no fresh word of a replica, or
			// is still at work on the last failover.
			if _, last = n.try("SENTINEL", "FAILOVER", g.name); last == nil {
				return true
			}
		}
		return false
	})
	if !accepted {
		g.t.Fatalf("no sentinel begins a failover: %v", last)
	}
	return g.AwaitFailover(old)
}

// AwaitFailover waits until every sentinel that is neither down nor frozen names the same master, not
// old, and that server says that it is one; it returns it.
func (g *Sentinel) AwaitFailover(old *Server) *Server {
	g.t.Helper()
	var promoted *Server
	Eventually(g.t, settleTimeout, "the sentinels to agree on a new master instead of "+old.Addr(), func() bool {
		promoted = nil
		for _, n := range g.nodes {
			if !n.responsive() {
				continue
			}
			m, err := g.masterSeenBy(n)
			if err != nil || m == old || promoted != nil && m != promoted {
				return false
			}
			promoted = m
		}
		if promoted == nil {
			return false
		}
		role, err := promoted.role()
		return err == nil && role == "master"
	})
	return promoted
}

// stringMap is Do for a command that replies with a list of names and values.
func (s *Server) stringMap(args ...any) map[string]string {
	s.t.Helper()
	list, ok := s.Do(args...).([]any)
	if !ok {
		s.t.Fatalf("redis-server on %s: %v: the reply is not a list", s, args)
	}
	m := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		m[fmt.Sprint(list[i])] = fmt.Sprint(list[i+1])
	}
	return m
}
