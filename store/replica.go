package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// chooseTimeout is how long the master, and then its replicas, all at once,
	// have to show how far they are when one is chosen. Both fit into
	// StalledAfter with time left to open a session.
	chooseTimeout = time.Second
	// lagPatience is how long a replica may be behind its master, or cut off
	// from it while the gateway is not, before another server is read from.
	lagPatience = StalledAfter
	// returnWait is about how long the master is read from before a replica is
	// looked for again: what made the replicas unfit is seldom over at once, and
	// all gateways come back spread over this time.
	returnWait = 10 * time.Second
	// proofGap is how long a replica that is behind is left before it is asked
	// again; it is doubled up to the longest.
	proofGap    = 10 * time.Millisecond
	maxProofGap = 200 * time.Millisecond
)

var (
	errNotReplica = errors.New("the server is not a replica any more")
	// errMoving ends a session because another server should be read from. It
	// is no error of Redis.
	errMoving = errors.New("another server is to be read from")
)

// replicaSet is a master and its replicas, of which one server is read from:
// a replica that has what the master has, or the master if there is none.
// Its methods may be called concurrently.
type replicaSet struct {
	// Fixed at construction.
	node *node
	// members tells who is there. It may ask somebody other than them.
	members func(ctx context.Context) (master string, replicas []string, err error)
	// inspect, if set, asks the master which of the windows it answers for. The
	// error is errMoving if no replica can stand in for it now.
	inspect func(ctx context.Context, master querier) (func(*window) bool, error)
	// follow is told of the server that is read from now on, for history.
	follow func(addr string)

	current  atomic.Pointer[server]
	provenAt moment // the replica has all that the master had then
}

// server is the member of a replicaSet that is read from.
type server struct {
	addr    string
	replica bool
}

func newReplicaSet(n *node) *replicaSet {
	rs := &replicaSet{node: n}
	rs.provenAt.Store(time.Now())
	n.replicas, n.addr = rs, rs.choose
	return rs
}

// fromReplica reports whether a replica is read from.
func (rs *replicaSet) fromReplica() bool {
	s := rs.current.Load()
	return s != nil && s.replica
}

// lag is how long ago the replica was last known to have all that its master
// had; 0 if the master is read from.
func (rs *replicaSet) lag(now time.Time) time.Duration {
	if !rs.fromReplica() {
		return 0
	}
	return max(now.Sub(rs.provenAt.Load()), 0)
}

// choose returns the address of the server for a new session.
func (rs *replicaSet) choose(ctx context.Context) (string, error) {
	master, replicas, err := rs.members(ctx)
	if err != nil {
		return "", err
	}
	asked := time.Now()
	addr, proven, why := rs.fittest(ctx, master, replicas)
	next := &server{addr: addr, replica: addr != ""}
	if !next.replica {
		next.addr = master
	}
	if proven {
		rs.provenAt.Store(asked)
	}
	if old := rs.current.Swap(next); old == nil || *old != *next {
		if next.replica {
			rs.node.log.Info("reading from a replica", "addr", next.addr)
		} else {
			rs.node.log.Warn("no replica can be read from: reading from the master", "addr", next.addr, "error", why)
		}
	}
	rs.follow(next.addr)
	return next.addr, nil
}

// fittest returns a replica that has what the master has, at random so that
// gateways spread; an empty address and why if there is none. If the master
// cannot be asked, it returns the one that has most, with proven false: to go
// on reading is worth more than to know that nothing is missing, which would be
// in doubt and not be told as lost.
func (rs *replicaSet) fittest(ctx context.Context, master string, replicas []string) (addr string, proven bool, why error) {
	if len(replicas) == 0 {
		return "", false, errors.New("none is known")
	}
	want, err := rs.askMaster(ctx, master)
	if errors.Is(err, errMoving) {
		return "", false, err
	}
	unknown := err != nil
	replicas = slices.Clone(replicas)
	rand.Shuffle(len(replicas), func(i, j int) { replicas[i], replicas[j] = replicas[j], replicas[i] })

	type answer struct {
		have replication
		err  error
	}
	ctx, cancel := context.WithTimeout(ctx, chooseTimeout)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	answers := make([]chan answer, len(replicas))
	for i, replica := range replicas {
		answers[i] = make(chan answer, 1)
		wg.Go(func() {
			c := rs.dial(replica)
			defer c.Close()
			have, err := askReplication(ctx, c)
			if err == nil && !unknown {
				err = awaitProof(ctx, c, want)
			}
			answers[i] <- answer{have, err}
		})
	}
	most := int64(-1)
	var errs []error
	for i, replica := range replicas {
		a := <-answers[i]
		switch {
		case a.err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", replica, a.err))
		case !unknown:
			return replica, true, nil
		case a.have.master:
			errs = append(errs, fmt.Errorf("%s: %w", replica, errNotReplica))
		case a.have.offset > most:
			most, addr = a.have.offset, replica
		}
	}
	return addr, false, errors.Join(errs...)
}

// askMaster asks the master how far it is.
func (rs *replicaSet) askMaster(ctx context.Context, master string) (replication, error) {
	ctx, cancel := context.WithTimeout(ctx, chooseTimeout)
	defer cancel()
	c := rs.dial(master)
	defer c.Close()
	m, _, err := rs.consult(ctx, c)
	return m, err
}

// consult asks the master how far it is, and which windows it answers for; nil
// is all.
func (rs *replicaSet) consult(ctx context.Context, master querier) (m replication, answersFor func(*window) bool, err error) {
	if rs.inspect != nil {
		if answersFor, err = rs.inspect(ctx, master); err != nil {
			return m, nil, err
		}
	}
	if m, err = askReplication(ctx, master); err == nil && !m.master {
		err = errNotMaster
	}
	return m, answersFor, err
}

// awaitProof waits until the replica has what the master had when it said want.
func awaitProof(ctx context.Context, replica querier, want replication) error {
	for gap := proofGap; ; gap = min(2*gap, maxProofGap) {
		have, err := askReplication(ctx, replica)
		switch {
		case err != nil:
			return err
		case have.master:
			return errNotReplica
		case have.has(want):
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it is behind the master: %w", ctx.Err())
		case <-time.After(gap):
		}
	}
}

// dial returns a client for questions to one server, to be closed.
func (rs *replicaSet) dial(addr string) *redis.Client {
	o := rs.node.opts.options(addr)
	o.PoolSize, o.MaxRetries, o.DialerRetries = 1, -1, 1
	o.DialTimeout, o.ReadTimeout = chooseTimeout, chooseTimeout
	return redis.NewClient(o)
}

// verify ends a session with a replica that was promoted; other decides about
// a session with the master.
func (rs *replicaSet) verify(ctx context.Context, conn querier, other func(context.Context, querier) error) error {
	if !rs.fromReplica() {
		return other(ctx, conn)
	}
	r, err := askReplication(ctx, conn)
	if err == nil && r.master {
		err = fmt.Errorf("%w: %w", errMoving, errNotReplica)
	}
	return err
}

// readOnly has a cluster's replica answer for the slots of its master.
func readOnly(ctx context.Context, c *redis.Conn) error { return c.ReadOnly(ctx).Err() }
