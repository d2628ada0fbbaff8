package topology

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

	"github.com/sse-gateway/sse-gateway/store/tail"
)

const (
	// catchUpGap is how long a replica that is behind is left before it is asked
	// again; it is doubled up to the longest.
	catchUpGap    = 10 * time.Millisecond
	maxCatchUpGap = 200 * time.Millisecond
)

// errNotReplica ends a session with a replica that was promoted.
var errNotReplica = errors.New("the server is not a replica any more")

// membership tells a replicaSet who belongs to it.
type membership interface {
	// members returns the addresses of the master and its replicas.
	members(ctx context.Context) (master string, replicas []string, err error)
	// ownedKeys asks the master which keys it answers for; nil is all. The error
	// wraps tail.ErrSwitchServer if no replica can stand in for it now.
	ownedKeys(master tail.Asker) (func(key string) bool, error)
	// Changed is told that the master answers for other keys than its replica.
	Changed(because error)
}

// replicaSet is a master and its replicas, of which one server is followed: a
// replica that has what the master has, or the master if there is none. Its
// methods may be called concurrently. A nil replicaSet follows the master.
type replicaSet struct {
	membership
	options *Options
	node    *tail.Node

	current  atomic.Pointer[tail.Target] // the server that is followed; nil at first
	provenAt atomic.Pointer[time.Time]   // the replica has all that the master had then
}

func newReplicaSet(o *Options, node *tail.Node, m membership) *replicaSet {
	rs := &replicaSet{membership: m, options: o, node: node}
	now := time.Now()
	rs.provenAt.Store(&now)
	return rs
}

// followsReplica reports whether a replica is followed.
func (rs *replicaSet) followsReplica() bool {
	if rs == nil {
		return false
	}
	t := rs.current.Load()
	return t != nil && t.Replica
}

// count returns 1 if a replica is followed, and how long ago it was last known
// to have all that its master had; else 0.
func (rs *replicaSet) count(now time.Time) (int, time.Duration) {
	if !rs.followsReplica() {
		return 0, 0
	}
	return 1, max(now.Sub(*rs.provenAt.Load()), 0)
}

// choose returns the server for a new session.
func (rs *replicaSet) choose(ctx context.Context) (tail.Target, error) {
	master, replicas, err := rs.members(ctx)
	if err != nil {
		return tail.Target{}, err
	}
	asked := time.Now()
	addr, proven, why := rs.bestReplica(ctx, master, replicas)
	next := tail.Target{Addr: addr, Replica: addr != ""}
	if !next.Replica {
		next.Addr = master
	}
	if proven {
		rs.provenAt.Store(&asked)
	}
	if old := rs.current.Swap(&next); old == nil || *old != next {
		log := rs.options.Tail.Log.With("redis", rs.node.Name(), "addr", next.Addr)
		if next.Replica {
			log.Info("reading from a replica")
		} else {
			log.Warn("no replica can be read from: reading from the master", "error", why)
		}
	}
	return next, nil
}

// bestReplica returns a replica that has what the master has, at random so that
// gateways spread; an empty address and why if there is none. If the master
// cannot be asked, it returns the one that has most, with proven false: to go
// on reading is worth more than to know that nothing is missing. What is missing
// stays a pending gap then.
func (rs *replicaSet) bestReplica(ctx context.Context, master string, replicas []string) (addr string, proven bool, why error) {
	if len(replicas) == 0 {
		return "", false, errors.New("none is known")
	}
	want, err := rs.askMaster(ctx, master)
	if errors.Is(err, tail.ErrSwitchServer) {
		return "", false, err
	}
	unknown := err != nil
	replicas = slices.Clone(replicas)
	rand.Shuffle(len(replicas), func(i, j int) { replicas[i], replicas[j] = replicas[j], replicas[i] })

	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	type answer struct {
		have replication
		err  error
	}
	answers := make([]chan answer, len(replicas))
	for i, replica := range replicas {
		answers[i] = make(chan answer, 1)
		wg.Go(func() {
			c := rs.options.questionClient(replica)
			defer c.Close()
			have, err := askReplication(clientAsker{ctx, c})
			if err == nil && !unknown {
				err = awaitCaughtUp(ctx, c, want)
			}
			answers[i] <- answer{have, err}
		})
	}
	most := int64(-1)
	var errs []error
	for i, replica := range replicas {
		a := <-answers[i]
		switch {
		case a.err == nil && !unknown:
			return replica, true, nil
		case a.err == nil && a.have.master:
			a.err = errNotReplica
		case a.err == nil && a.have.offset > most:
			most, addr = a.have.offset, replica
		}
		if a.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", replica, a.err))
		}
	}
	return addr, false, errors.Join(errs...)
}

// askMaster asks the master how far it is.
func (rs *replicaSet) askMaster(ctx context.Context, master string) (replication, error) {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	c := rs.options.questionClient(master)
	defer c.Close()
	position, _, err := rs.masterPosition(clientAsker{ctx, c})
	return position, err
}

// masterPosition asks the master how far it is, and which keys it answers for;
// nil is all.
func (rs *replicaSet) masterPosition(master tail.Asker) (position replication, answersFor func(key string) bool, err error) {
	if answersFor, err = rs.ownedKeys(master); err != nil {
		return position, nil, err
	}
	if position, err = askReplication(master); err == nil && !position.master {
		err = errNotMaster
	}
	return position, answersFor, err
}

// awaitCaughtUp waits until the replica has what the master had at a position.
func awaitCaughtUp(ctx context.Context, replica *redis.Client, want replication) error {
	for gap := catchUpGap; ; gap = min(2*gap, maxCatchUpGap) {
		have, err := askReplication(clientAsker{ctx, replica})
		switch {
		case err != nil:
			return err
		case have.master:
			return errNotReplica
		case have.caughtUpWith(want):
			return nil
		}
		if !sleep(ctx, gap) {
			return fmt.Errorf("it is behind the master: %w", ctx.Err())
		}
	}
}

// requireReplica ends a session with a replica that was promoted.
func requireReplica(c tail.Asker) error {
	r, err := askReplication(c)
	if err == nil && r.master {
		err = fmt.Errorf("%w: %w", tail.ErrSwitchServer, errNotReplica)
	}
	return err
}
