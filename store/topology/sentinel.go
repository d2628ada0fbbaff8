package topology

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

var errNoMaster = fmt.Errorf("%w: no sentinel names a master", rediserr.ErrUnreachable)

// sentinel is a master that sentinels name, and its replicas.
type sentinel struct {
	oneNode
	name      string // of the master
	sentinels []*redis.SentinelClient
}

func newSentinel(o Options) *sentinel {
	t := &sentinel{name: o.Address.Master}
	for _, addr := range o.Address.Addrs {
		c := o.Address.SentinelOptions(addr)
		c.Protocol, c.DisableIdentity, c.ContextTimeoutEnabled = 2, true, true
		c.DialTimeout, c.ReadTimeout, c.WriteTimeout = questionTimeout, questionTimeout, questionTimeout
		c.MaxRetries, c.DialerRetries = -1, 1 // the others answer, and it is asked again
		t.sentinels = append(t.sentinels, redis.NewSentinelClient(c))
	}
	t.clients = newClients(o)
	t.node = newNode(t.clients, t.name, t)
	return t
}

// Close is of Topology.
func (t *sentinel) Close() error {
	errs := []error{t.oneNode.Close()}
	for _, s := range t.sentinels {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// members is of group. The first sentinel that knows replicas is believed: each
// replica shows itself what it is and how far.
func (t *sentinel) members(ctx context.Context) (master string, replicas []string, err error) {
	if master, err = t.askMaster(ctx); err != nil || !t.clients.options.ReadReplicas {
		return master, nil, err
	}
	err = askAll(ctx, t.sentinels, func(ctx context.Context, s *redis.SentinelClient) ([]map[string]string, error) {
		return s.Replicas(ctx, t.name).Result()
	}, func(list []map[string]string) (enough bool) {
		for _, m := range list {
			if isReachable(m) {
				replicas = append(replicas, net.JoinHostPort(m["ip"], m["port"]))
			}
		}
		return len(replicas) > 0
	})
	if err != nil && len(replicas) == 0 { // the master can still be read from
		t.clients.options.Tail.Log.Debug("the sentinels could not be asked for replicas", "error", err)
	}
	return master, replicas, nil
}

// askMaster asks all sentinels for the master and believes the one with the
// highest configuration epoch.
func (t *sentinel) askMaster(ctx context.Context) (string, error) {
	addr, highest := "", int64(-1)
	err := askAll(ctx, t.sentinels, func(ctx context.Context, s *redis.SentinelClient) (map[string]string, error) {
		return s.Master(ctx, t.name).Result()
	}, func(m map[string]string) (enough bool) {
		if epoch, _ := strconv.ParseInt(m["config-epoch"], 10, 64); epoch > highest {
			addr, highest = net.JoinHostPort(m["ip"], m["port"]), epoch
		}
		return false
	})
	if highest < 0 {
		return "", fmt.Errorf("%w %q: %w", errNoMaster, t.name, err)
	}
	return addr, nil
}

// verify is of group.
func (t *sentinel) verify(master tail.Asker) error { return requireMaster(master) }

// isReachable reports whether a sentinel finds a replica reachable. What it says
// of the link to the master is as old as its last INFO, and a replica whose
// master is away may still be the best that there is.
func isReachable(replica map[string]string) bool {
	for flag := range strings.SplitSeq(replica["flags"], ",") {
		switch flag {
		case "s_down", "o_down", "disconnected":
			return false
		}
	}
	return true
}
