package redistest

import (
	"fmt"
	"strings"
)

// migrateBatch is how many keys one MIGRATE takes; migrateTimeout is how long,
// in milliseconds, it may be without progress.
const (
	migrateBatch   = 100
	migrateTimeout = 5000
)

// MoveSlot moves a slot with its keys to another master while clients use it,
// as redis-cli --cluster reshard does, and returns when every node knows.
func (c *Cluster) MoveSlot(slot int, to *Server) {
	c.t.Helper()
	c.BeginMoveSlot(slot, to)
	c.FinishMoveSlot(slot)
}

// BeginMoveSlot puts a slot in the state of being moved: its owner still has it,
// but answers ASK for a key that it does not have (TRYAGAIN for a command of
// several keys). Go on with MoveKeys and FinishMoveSlot.
func (c *Cluster) BeginMoveSlot(slot int, to *Server) {
	c.t.Helper()
	from := c.Owner(slot)
	if from == to {
		c.t.Fatalf("slot %d is on %s already", slot, to)
	}
	// The importer first: the other order has a moment in which the owner sends
	// clients to a node that sends them back.
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id())
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moves[slot] = [2]*Server{from, to}
}

// MoveKeys moves these keys, or without any all that the slot has now, after
// BeginMoveSlot, and returns how many it asked to move. The slot's owner stays
// who it is.
func (c *Cluster) MoveKeys(slot int, keys ...string) int {
	c.t.Helper()
	from, to := c.move(slot)
	if len(keys) > 0 {
		c.migrate(from, to, keys)
		return len(keys)
	}
	moved := 0
	for {
		list, _ := from.Do("CLUSTER", "GETKEYSINSLOT", slot, migrateBatch).([]any)
		if len(list) == 0 {
			return moved
		}
		for _, k := range list {
			keys = append(keys, fmt.Sprint(k))
		}
		c.migrate(from, to, keys)
		moved += len(keys)
		keys = nil
	}
}

func (c *Cluster) migrate(from, to *Server, keys []string) {
	c.t.Helper()
	args := []any{"MIGRATE", "127.0.0.1", to.port, "", 0, migrateTimeout, "AUTH2", harnessUser, harnessPassword, "KEYS"}
	for _, k := range keys {
		args = append(args, k)
	}
	from.Do(args...)
}

// FinishMoveSlot moves what keys are left and gives the slot to its new owner;
// it returns when every running node knows.
func (c *Cluster) FinishMoveSlot(slot int) {
	c.t.Helper()
	from, to := c.move(slot)
	c.MoveKeys(slot)
	id := to.id()
	// The new owner first, or for a moment nobody has the slot. The other
	// masters would hear of it by gossip too, only later.
	to.Do("CLUSTER", "SETSLOT", slot, "NODE", id)
	from.Do("CLUSTER", "SETSLOT", slot, "NODE", id)
	for _, n := range c.Masters() {
		if n != from && n != to {
			n.Do("CLUSTER", "SETSLOT", slot, "NODE", id)
		}
	}
	c.mu.Lock()
	delete(c.moves, slot)
	c.mu.Unlock()
	c.await(fmt.Sprintf("slot %d to be on %s", slot, to), func() bool {
		owner, err := c.owner(slot)
		return err == nil && owner == to && c.whole()
	})
}

// move returns the two ends of a move that was begun.
func (c *Cluster) move(slot int) (from, to *Server) {
	c.t.Helper()
	c.mu.Lock()
	m, ok := c.moves[slot]
	c.mu.Unlock()
	if !ok {
		c.t.Fatalf("slot %d is not being moved: call BeginMoveSlot first", slot)
	}
	return m[0], m[1]
}

// Failover makes a replica the master (CLUSTER FAILOVER) and returns when every
// running node knows. how is empty for one that its master takes part in, FORCE
// when the master is down, or TAKEOVER to ask nobody.
func (c *Cluster) Failover(replica *Server, how ...string) {
	c.t.Helper()
	args := []any{"CLUSTER", "FAILOVER"}
	for _, h := range how {
		args = append(args, strings.ToUpper(h))
	}
	replica.Do(args...)
	c.await(replica.Addr()+" to be a master", func() bool {
		v, err := replica.self()
		return err == nil && v.is("master") && len(v.slots) > 0 && c.whole()
	})
}

// AwaitFailover waits until the slots of a master that was killed have a running
// owner again and every running node knows; it returns the owner of the slot
// given.
func (c *Cluster) AwaitFailover(slot int) *Server {
	c.t.Helper()
	var owner *Server
	c.await(fmt.Sprintf("slot %d to have a running owner", slot), func() bool {
		var err error
		owner, err = c.owner(slot)
		return err == nil && c.whole()
	})
	return owner
}
