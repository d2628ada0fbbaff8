package topology

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

var errNoMaster = fmt.Errorf("%w: no sentinel names a master", rediserr.ErrUnreachable)

// newSentinels returns clients that do not try again: the other sentinels answer,
// and all are asked again.
func newSentinels(a *redisurl.Address) (all []*redis.SentinelClient) {
	for _, addr := range a.Addrs {
		c := a.SentinelOptions(addr)
		c.Protocol, c.DisableIdentity, c.ContextTimeoutEnabled = 2, true, true
		c.DialTimeout, c.ReadTimeout, c.WriteTimeout = questionTimeout, questionTimeout, questionTimeout
		c.MaxRetries, c.DialerRetries = -1, 1
		all = append(all, redis.NewSentinelClient(c))
	}
	return all
}

// named is the master that a sentinel names, and its replicas.
type named struct {
	master   string
	replicas []string // those that the sentinel reaches
	epoch    int64    // of the configuration
}

// askSentinels asks all sentinels for the master and believes the one with the
// highest configuration epoch. All replicas that any of them knows are returned:
// each replica shows itself what it is and how far.
func (t *Topology) askSentinels(ctx context.Context) (master string, replicas []string, err error) {
	answers, err := askAll(ctx, t.sentinels, t.askSentinel)
	if len(answers) == 0 {
		return "", nil, fmt.Errorf("%w %q: %w", errNoMaster, t.options.Address.Master, err)
	}
	highest := int64(-1)
	for _, a := range answers {
		if a.epoch > highest {
			master, highest = a.master, a.epoch
		}
		replicas = append(replicas, a.replicas...)
	}
	slices.Sort(replicas)
	return master, slices.Compact(replicas), nil
}

// askSentinel asks one sentinel. One that may not be asked for replicas knows
// none: the master can still be read from.
func (t *Topology) askSentinel(ctx context.Context, s *redis.SentinelClient) (named, error) {
	m, err := s.Master(ctx, t.options.Address.Master).Result()
	if err != nil {
		return named{}, err
	}
	a := named{master: net.JoinHostPort(m["ip"], m["port"])}
	a.epoch, _ = strconv.ParseInt(m["config-epoch"], 10, 64)
	if !t.options.ReadReplicas {
		return a, nil
	}
	list, err := s.Replicas(ctx, t.options.Address.Master).Result()
	if err != nil {
		t.options.Tail.Log.Debug("a sentinel could not be asked for replicas", "error", err)
	}
	for _, r := range list {
		if isReachable(r) {
			a.replicas = append(a.replicas, net.JoinHostPort(r["ip"], r["port"]))
		}
	}
	return a, nil
}

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
