package topology

import (
	"context"
	"fmt"

	"github.com/sse-gateway/sse-gateway/store/resp"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

// clusterNode is a master of the cluster. It is the tail.Server of its node.
type clusterNode struct {
	*tail.Node
	cluster  *cluster
	addr     string
	replicas *replicaSet // nil: the master is followed
	stop     context.CancelFunc
}

// Locate is of tail.Server.
func (n *clusterNode) Locate(ctx context.Context) (tail.Target, error) {
	if n.replicas == nil {
		return tail.Target{Addr: n.addr}, nil
	}
	target, err := n.replicas.choose(ctx)
	if err == nil {
		n.cluster.client.ReloadState(ctx)
	}
	target.ReadOnly = true
	return target, err
}

// Verify is of tail.Server. It ends a session with a node that is not a master
// any more, and looks for slots that are about to move away.
//
// While a slot moves, a key that its node does not have is created on the new
// one, and the old one, where tracking is armed, hears nothing of it. To read
// such a stream is to be told so, by ASK.
func (n *clusterNode) Verify(c tail.Asker) error {
	if n.replicas.followsReplica() {
		return requireReplica(c)
	}
	self, err := askSelf(c)
	if err != nil || self == nil {
		return err
	}
	if !self.master {
		return fmt.Errorf("%w: it is a replica", errNotMaster)
	}
	if len(self.migrating) == 0 {
		return nil
	}
	for _, s := range n.Sources() {
		if self.migrating[slotOf(s.Key)] {
			s.Reread()
		}
	}
	return nil
}

// Watch is of tail.Server.
func (n *clusterNode) Watch(ctx context.Context, target tail.Target) error {
	switch {
	case n.replicas == nil:
		return nil
	case target.Replica:
		return n.replicas.watchReplica(ctx, target)
	}
	return n.replicas.awaitReplica(ctx)
}

// Changed is of tail.Server.
func (n *clusterNode) Changed(because error) {
	if resp.IsAsk(because) { // the slots are as they were
		n.cluster.wake()
	} else {
		n.cluster.refreshSoon()
	}
}

// members is of membership. Replicas that the cluster takes for failed are not
// in its map of slots.
func (n *clusterNode) members(ctx context.Context) (master string, replicas []string, err error) {
	ranges, _ := n.cluster.slotsForMasters(ctx)
	for _, r := range ranges {
		if len(r.Nodes) > 0 && r.Nodes[0].Addr == n.addr {
			for _, replica := range r.Nodes[1:] {
				replicas = append(replicas, replica.Addr)
			}
			break
		}
	}
	return n.addr, replicas, nil
}

// ownedKeys is of membership. While a slot moves away only the master knows: on
// a replica the keys that have moved are as good as deleted. And after it has, a
// replica may be the last to know.
func (n *clusterNode) ownedKeys(master tail.Asker) (func(key string) bool, error) {
	self, err := askSelf(master)
	switch {
	case err != nil:
		return nil, err
	case self == nil:
		return nil, fmt.Errorf("%w: CLUSTER NODES without the node itself", resp.ErrProtocol)
	case len(self.migrating) > 0:
		return nil, fmt.Errorf("%w: slots are on their way from the master to another", tail.ErrSwitchServer)
	}
	return func(key string) bool { return self.owned[slotOf(key)] }, nil
}
