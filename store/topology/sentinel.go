package topology

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/sse-gateway/sse-gateway/store/rediserr"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

var (
	errNoMaster  = fmt.Errorf("%w: no sentinel names a master", rediserr.ErrUnreachable)
	errNotMaster = errors.New("the server is not the master any more")
)

// sentinel is one master that sentinels name, or a replica of it. Which server
// it is, is decided when a session is opened, and asked again and again.
type sentinel struct {
	oneNode
	options   Options
	name      string // of the master
	sentinels []*redis.SentinelClient
	replicas  *replicaSet // nil: the master is followed

	// mu guards the clients: of the server that is followed, for history, and of
	// the master, if a replica is followed. Each is nil until its server is known.
	mu           sync.Mutex
	read, master *redis.Client
}

func newSentinel(o Options) *sentinel {
	t := &sentinel{options: o, name: o.Address.Master}
	for _, addr := range o.Address.Addrs {
		c := o.Address.SentinelOptions(addr)
		c.Protocol, c.DisableIdentity, c.ContextTimeoutEnabled = 2, true, true
		c.DialTimeout, c.ReadTimeout, c.WriteTimeout = questionTimeout, questionTimeout, questionTimeout
		c.MaxRetries, c.DialerRetries = -1, 1 // the others answer, and it is asked again
		t.sentinels = append(t.sentinels, redis.NewSentinelClient(c))
	}
	t.oneNode = oneNode{tail.NewNode(o.Tail, t.name, t, o.HistoryReads), o.Tail.Log}
	if o.ReadReplicas {
		t.replicas = newReplicaSet(&t.options, t.node, t)
	}
	return t
}

// Client is of Topology. Until a session has found the server, it is the master
// that the sentinels name.
func (t *sentinel) Client(ctx context.Context) (redis.UniversalClient, error) {
	t.mu.Lock()
	c := t.read
	t.mu.Unlock()
	if c != nil {
		return c, nil
	}
	addr, err := t.askMaster(ctx)
	if err != nil {
		return nil, err
	}
	return t.use(&t.read, addr, true), nil // unless a session has found out meanwhile
}

// Master is of Topology. The master has just said that it is one.
func (t *sentinel) Master(ctx context.Context) (redis.UniversalClient, error) {
	if t.replicas == nil {
		return nil, nil
	}
	addr, err := t.askMaster(ctx)
	if err != nil {
		return nil, err
	}
	c := t.use(&t.master, addr, false)
	return c, requireMaster(clientAsker{ctx, c})
}

// use makes a client one of the server at addr, if it is none yet or may be
// replaced, and returns it. Reads under way on the one before fail, and are tried
// again on the new one.
func (t *sentinel) use(client **redis.Client, addr string, onlyFirst bool) *redis.Client {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := *client
	if old != nil && (onlyFirst || old.Options().Addr == addr) {
		return old
	}
	*client = redis.NewClient(t.options.clientOptions(addr))
	if old != nil {
		_ = old.Close()
	}
	return *client
}

// Replicas is of Topology.
func (t *sentinel) Replicas(now time.Time) (int, time.Duration) { return t.replicas.count(now) }

// Close is of Topology.
func (t *sentinel) Close() error {
	var errs []error
	for _, s := range t.sentinels {
		errs = append(errs, s.Close())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range []*redis.Client{t.read, t.master} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// Locate is of tail.Server.
func (t *sentinel) Locate(ctx context.Context) (target tail.Target, err error) {
	if t.replicas != nil {
		target, err = t.replicas.choose(ctx)
	} else {
		target.Addr, err = t.askMaster(ctx)
	}
	if err == nil {
		t.use(&t.read, target.Addr, false)
	}
	return target, err
}

// Verify is of tail.Server.
func (t *sentinel) Verify(c tail.Asker) error {
	if t.replicas.followsReplica() {
		return requireReplica(c)
	}
	return requireMaster(c)
}

// Watch is of tail.Server. It ends a session with a master when the sentinels
// name another one.
func (t *sentinel) Watch(ctx context.Context, target tail.Target) error {
	if target.Replica {
		return t.replicas.watchReplica(ctx, target)
	}
	g, ctx := errgroup.WithContext(ctx)
	if t.replicas != nil {
		g.Go(func() error { return t.replicas.awaitReplica(ctx) })
	}
	g.Go(func() error {
		for sleep(ctx, tail.Jitter(time.Second)) {
			// If no sentinel answers, the master that is there is better than none.
			if named, err := t.askMaster(ctx); err == nil && named != target.Addr {
				return fmt.Errorf("%w: the sentinels name %s", errNotMaster, named)
			}
		}
		return nil
	})
	return g.Wait()
}

// requireMaster asks a server whether it is a master.
func requireMaster(c tail.Asker) error {
	role, err := c.Do("ROLE")
	if err != nil {
		return err
	}
	if v, ok := role.([]any); !ok || len(v) == 0 || v[0] != "master" {
		return errNotMaster
	}
	return nil
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

// members is of membership. The first sentinel that knows replicas is believed:
// each replica shows itself what it is and how far.
func (t *sentinel) members(ctx context.Context) (master string, replicas []string, err error) {
	if master, err = t.askMaster(ctx); err != nil {
		return "", nil, err
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
		t.log.Debug("the sentinels could not be asked for replicas", "error", err)
	}
	return master, replicas, nil
}

// ownedKeys is of membership: a master answers for all keys.
func (t *sentinel) ownedKeys(tail.Asker) (func(string) bool, error) { return nil, nil }

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
