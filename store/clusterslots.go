package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ask asks the cluster's nodes, known ones and those of the URL, for its slots
// until one answers.
func (t *clusterTopology) ask(ctx context.Context) ([]redis.ClusterSlot, error) {
	addrs := make([]string, 0, 8)
	t.mu.Lock()
	for addr := range t.nodes {
		addrs = append(addrs, addr)
	}
	t.mu.Unlock()
	var errs []error
	for _, addr := range append(addrs, t.endpoint.Addrs...) {
		ranges, err := t.askOne(ctx, addr)
		if err == nil && len(ranges) > 0 {
			return ranges, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (t *clusterTopology) askOne(ctx context.Context, addr string) ([]redis.ClusterSlot, error) {
	c := t.askers[addr]
	if c == nil {
		o := t.endpoint.options(addr)
		o.PoolSize, o.MaxRetries, o.DialerRetries = 1, -1, 1
		o.DialTimeout, o.ReadTimeout = askTimeout, askTimeout
		c = redis.NewClient(o)
		t.askers[addr] = c
	}
	//lint:ignore SA1019 CLUSTER SHARDS needs Redis 7.
	ranges, err := c.ClusterSlots(ctx).Result()
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(addr)
	for i := range ranges {
		for j, n := range ranges[i].Nodes {
			// A node that does not know its own address leaves the host out.
			if h, port, err := net.SplitHostPort(n.Addr); err == nil && h == "" {
				ranges[i].Nodes[j].Addr = net.JoinHostPort(host, port)
			}
		}
	}
	return ranges, nil
}

// watchSlots is a cluster node's verify: it ends the session with a node that
// is not a master any more, and looks for slots that are about to move away.
//
// While a slot moves, a key that its node does not have is created on the new
// one, and the old one, where tracking is armed, hears nothing of it. To read
// such a stream is to be told so, by ASK.
func (n *clusterNode) watchSlots(ctx context.Context, conn querier) error {
	cmd := redis.NewStringCmd(ctx, "CLUSTER", "NODES")
	if err := conn.Process(ctx, cmd); err != nil {
		return err
	}
	for line := range strings.Lines(cmd.Val()) {
		master, migrating, ok := parseMyself(line)
		if !ok {
			continue
		}
		if !master {
			return fmt.Errorf("%w: it is a replica", errNotMaster)
		}
		if len(migrating) == 0 {
			return nil
		}
		for _, w := range n.windows() {
			if migrating[slotOf(w.key)] {
				n.enqueue(w, readPlain)
			}
		}
		return nil
	}
	return nil
}

// parseMyself reads the line of CLUSTER NODES that a node has about itself, ok
// is false for the other lines:
//
//	id ip:port@busport[,host] flags master ping pong epoch link slot slot-slot [slot->-importer] [slot-<-exporter] …
//
// See https://redis.io/docs/latest/commands/cluster-nodes/.
func parseMyself(line string) (master bool, migrating map[int]bool, ok bool) {
	f := strings.Fields(line)
	if len(f) < 8 || !strings.Contains(f[2], "myself") {
		return false, nil, false
	}
	for _, word := range f[8:] {
		text, _, leaving := strings.Cut(strings.TrimPrefix(word, "["), "->-")
		if !leaving {
			continue
		}
		if slot, err := strconv.Atoi(text); err == nil {
			if migrating == nil {
				migrating = make(map[int]bool)
			}
			migrating[slot] = true
		}
	}
	return strings.Contains(f[2], "master"), migrating, true
}
