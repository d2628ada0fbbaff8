package store

import (
	"context"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// readReplicas has the node read from a replica of the master.
func (t *sentinelTopology) readReplicas() {
	rs := newReplicaSet(t.node)
	rs.members = t.members
	rs.follow = func(addr string) { t.follow(&t.server, addr) }
	t.node.verify = func(ctx context.Context, conn querier) error { return rs.verify(ctx, conn, requireMaster) }
}

// members returns the master and those of its replicas that the sentinels have
// nothing against.
func (t *sentinelTopology) members(ctx context.Context) (master string, replicas []string, err error) {
	if master, err = t.ask(ctx); err != nil {
		return "", nil, err
	}
	replicas, err = t.askReplicas(ctx)
	if err != nil { // the master can still be read from
		t.node.log.Debug("the sentinels could not be asked for replicas", "error", err)
	}
	return master, replicas, nil
}

// askReplicas asks all sentinels for replicas and believes the first that knows
// any: each replica shows itself what it is and how far.
func (t *sentinelTopology) askReplicas(ctx context.Context) ([]string, error) {
	var addrs []string
	err := askSentinels(ctx, t.sentinels, func(ctx context.Context, s *redis.SentinelClient) ([]map[string]string, error) {
		return s.Replicas(ctx, t.endpoint.Master).Result()
	}, func(list []map[string]string) (enough bool) {
		for _, m := range list {
			if isFit(m) {
				addrs = append(addrs, net.JoinHostPort(m["ip"], m["port"]))
			}
		}
		return len(addrs) > 0
	})
	if len(addrs) > 0 {
		err = nil
	}
	return addrs, err
}

// isFit reports whether a sentinel finds a replica reachable. What it says of
// the link to the master is as old as its last INFO, and counts only as a
// disadvantage while the master itself is there: see replicaSet.fittest.
func isFit(replica map[string]string) bool {
	for flag := range strings.SplitSeq(replica["flags"], ",") {
		switch flag {
		case "s_down", "o_down", "disconnected":
			return false
		}
	}
	return true
}

// authority returns a client of the master, which has just said that it is one.
func (t *sentinelTopology) authority(ctx context.Context) (redis.UniversalClient, error) {
	if !t.endpoint.replicas {
		return nil, nil
	}
	addr, err := t.ask(ctx)
	if err != nil {
		return nil, err
	}
	c := t.follow(&t.master, addr)
	return c, requireMaster(ctx, c)
}
