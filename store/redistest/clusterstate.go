package redistest

import "fmt"

// running returns the nodes that are neither down nor frozen.
func (c *Cluster) running() []*Server {
	var out []*Server
	for _, n := range c.Nodes() {
		if n.responsive() {
			out = append(out, n)
		}
	}
	return out
}

// await waits for the cluster and, if that takes too long, says how the nodes
// see it.
func (c *Cluster) await(what string, cond func() bool) {
	c.t.Helper()
	if Poll(settleTimeout, cond) {
		return
	}
	for _, n := range c.running() {
		text, err := n.try("CLUSTER", "NODES")
		c.t.Logf("CLUSTER NODES of %s (%v):\n%v", n, err, text)
	}
	c.t.Fatalf("waited %v for %s", settleTimeout, what)
}

// AwaitHealthy waits until every running node says cluster_state:ok and they
// agree on who has which slot.
func (c *Cluster) AwaitHealthy() {
	c.t.Helper()
	c.await("the cluster to be whole", c.whole)
}

// whole reports whether every running node finds the cluster in order and they
// agree on who has which slot.
func (c *Cluster) whole() bool {
	var agreed string
	for i, n := range c.running() {
		text, err := n.try("CLUSTER", "INFO")
		if err != nil || infoFields(fmt.Sprint(text))["cluster_state"] != "ok" {
			return false
		}
		all, err := n.views()
		if err != nil {
			return false
		}
		if seen := owners(all); i == 0 {
			agreed = seen
		} else if seen != agreed {
			return false
		}
	}
	return agreed != ""
}

// acquainted reports whether every running node is connected to every node.
func (c *Cluster) acquainted() bool {
	want := len(c.Nodes())
	for _, n := range c.running() {
		all, err := n.views()
		if err != nil || len(all) != want {
			return false
		}
		for _, v := range all {
			if v.is("handshake") || !v.linked {
				return false
			}
		}
	}
	return true
}

// replicated reports whether every node knows of so many replicas.
func (c *Cluster) replicated(replicas int) bool {
	for _, n := range c.running() {
		all, err := n.views()
		if err != nil {
			return false
		}
		known := 0
		for _, v := range all {
			if v.is("slave") {
				known++
			}
		}
		if known != replicas {
			return false
		}
	}
	return true
}

// portOf returns the port of the node with an id, 0 if no running node knows it.
func (c *Cluster) portOf(id string) int {
	for _, n := range c.running() {
		all, err := n.views()
		if err != nil {
			continue
		}
		for _, v := range all {
			if v.id == id {
				return v.port
			}
		}
	}
	return 0
}
