package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// sentinelTimeout bounds one question to the sentinels.
	sentinelTimeout = time.Second
	// sentinelGrace is how long the others have once most have answered: one
	// that knows of a newer master may be slow, and one that is away would
	// delay every answer.
	sentinelGrace = 50 * time.Millisecond
)

var (
	errNoMaster  = errors.New("no sentinel names a master")
	errNotMaster = errors.New("the server is not the master any more")
)

// sentinelTopology is one master that sentinels name, or a replica of it. The
// tail and the reads of history use the same server, so that they never see two
// different copies of a stream; which one it is, is decided when a session is
// opened, and asked again and again.
type sentinelTopology struct {
	oneServer
	endpoint  *endpoint
	sentinels []*redis.SentinelClient
	server    atomic.Pointer[redis.Client] // for reads of history; nil at first
	master    atomic.Pointer[redis.Client] // for what a replica may not have yet; nil until needed
}

func newSentinelTopology(s *Store, e *endpoint) *sentinelTopology {
	t := &sentinelTopology{endpoint: e}
	for _, addr := range e.Addrs {
		o := withLimits(e.SentinelOptions(addr))
		o.MaxRetries, o.DialerRetries = -1, 1 // the others answer, and it is asked again
		t.sentinels = append(t.sentinels, redis.NewSentinelClient(o))
	}
	t.node = newNode(s, e, e.Master, t.resolve)
	t.node.verify, t.node.named = requireMaster, t.verify
	if e.replicas {
		t.readReplicas()
	}
	return t
}

// historyClient returns the client of the server that is read from. Before there is one,
// a client that fails at once.
func (t *sentinelTopology) historyClient() redis.UniversalClient {
	if c := t.server.Load(); c != nil {
		return c
	}
	addr, err := t.ask(context.Background())
	if err != nil {
		addr = t.endpoint.Addrs[0] // a sentinel: it answers that it knows no such command
	}
	return t.replace(&t.server, nil, addr) // unless a session has found out meanwhile
}

// follow makes a client one of the server at addr.
func (t *sentinelTopology) follow(client *atomic.Pointer[redis.Client], addr string) *redis.Client {
	for {
		old := client.Load()
		if old != nil && old.Options().Addr == addr {
			return old
		}
		// Somebody else may have been quicker, with a server that is not it.
		if c := t.replace(client, old, addr); c.Options().Addr == addr {
			return c
		}
	}
}

// replace makes a client that is still the old one, which may be nil, one of the
// server at addr.
func (t *sentinelTopology) replace(client *atomic.Pointer[redis.Client], old *redis.Client, addr string) *redis.Client {
	c := redis.NewClient(t.endpoint.historyOptions(addr))
	if !client.CompareAndSwap(old, c) {
		_ = c.Close()
		return client.Load()
	}
	if old != nil {
		_ = old.Close() // reads under way fail, and are tried again on the new one
	}
	return c
}

func (t *sentinelTopology) close() error {
	var errs []error
	for _, s := range t.sentinels {
		errs = append(errs, s.Close())
	}
	for _, c := range []*redis.Client{t.server.Load(), t.master.Load()} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// resolve returns the address of the master for a new session.
func (t *sentinelTopology) resolve(ctx context.Context) (string, error) {
	addr, err := t.ask(ctx)
	if err != nil {
		return "", err
	}
	t.follow(&t.server, addr)
	return addr, nil
}

// verify ends a session with a server that the sentinels do not name any more.
func (t *sentinelTopology) verify(ctx context.Context, addr string) error {
	// When no sentinel answers, the master that is there is better than none.
	if named, err := t.ask(ctx); err == nil && named != addr {
		return fmt.Errorf("%w: the sentinels name %s", errNotMaster, named)
	}
	return nil
}

// requireMaster asks a server whether it is a master.
func requireMaster(ctx context.Context, conn querier) error {
	role := redis.NewSliceCmd(ctx, "ROLE")
	if err := conn.Process(ctx, role); err != nil {
		return err
	}
	if v := role.Val(); len(v) == 0 || v[0] != "master" {
		return errNotMaster
	}
	return nil
}

// ask asks all sentinels for the master and believes the one with the highest
// configuration epoch: one that is cut off from the others would go on naming
// the old master.
func (t *sentinelTopology) ask(ctx context.Context) (string, error) {
	addr, highest := "", int64(-1)
	err := askSentinels(ctx, t.sentinels, func(ctx context.Context, s *redis.SentinelClient) (map[string]string, error) {
		return s.Master(ctx, t.endpoint.Master).Result()
	}, func(m map[string]string) (enough bool) {
		if epoch, _ := strconv.ParseInt(m["config-epoch"], 10, 64); epoch > highest {
			addr, highest = net.JoinHostPort(m["ip"], m["port"]), epoch
		}
		return false
	})
	if highest < 0 {
		return "", fmt.Errorf("%w %q: %w", errNoMaster, t.endpoint.Master, err)
	}
	return addr, nil
}

// askSentinels puts one question to all sentinels at once. It hands each answer
// to take, which says if it was enough; otherwise it waits for those that are
// silent, but not long once most have answered. The error is of those that
// failed.
func askSentinels[T any](ctx context.Context, sentinels []*redis.SentinelClient,
	ask func(context.Context, *redis.SentinelClient) (T, error), take func(T) (enough bool)) error {
	ctx, cancel := context.WithTimeout(ctx, sentinelTimeout)
	defer cancel()
	type answer struct {
		v   T
		err error
	}
	answers := make(chan answer, len(sentinels))
	for _, s := range sentinels {
		go func() {
			v, err := ask(ctx, s)
			answers <- answer{v, err}
		}()
	}
	var errs []error
	var late <-chan time.Time // set once most have answered
	for n := 0; n+len(errs) < len(sentinels); {
		select {
		case a := <-answers:
			if a.err != nil {
				errs = append(errs, a.err)
				continue
			}
			if take(a.v) {
				return nil
			}
			if n++; n == len(sentinels)/2+1 {
				late = time.After(sentinelGrace)
			}
		case <-late:
			return errors.Join(errs...)
		case <-ctx.Done():
			return errors.Join(append(errs, ctx.Err())...)
		}
	}
	return errors.Join(errs...)
}
