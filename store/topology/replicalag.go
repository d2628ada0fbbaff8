package topology

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/tail"
)

const (
	// lagPatience is how long a replica may be behind its master, or cut off
	// from it while the gateway is not, before another server is followed.
	lagPatience = tail.StalledAfter
	// returnWait is about how long the master is followed before a replica is
	// looked for again: what made the replicas unfit is seldom over at once. All
	// gateways come back spread over this time.
	returnWait = 10 * time.Second
	// proveEvery is how often a replica is compared with its master.
	proveEvery = time.Second
)

// awaitReplica returns tail.ErrSwitchServer when there is a replica to follow
// instead of the master; nil when ctx ends.
func (rs *replicaSet) awaitReplica(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(returnWait/2 + rand.N(returnWait)):
		}
		master, replicas, err := rs.members(ctx)
		if err != nil {
			continue
		}
		if addr, proven, _ := rs.bestReplica(ctx, master, replicas); proven {
			return fmt.Errorf("%w: the replica %s has what the master has", tail.ErrSwitchServer, addr)
		}
	}
}

// watchReplica proves again and again that the replica has what the master has,
// and returns tail.ErrSwitchServer when it did not for lagPatience, though the
// master could be asked; nil when ctx ends.
func (rs *replicaSet) watchReplica(ctx context.Context, target tail.Target) error {
	p := &lagProber{rs: rs, addr: target.Addr, replica: rs.client(target.Addr)}
	defer p.close()
	for {
		err := p.prove(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, tail.ErrSwitchServer):
			return err
		case err != nil:
			rs.options.Tail.Log.Debug("the replica could not be compared with its master", "addr", target.Addr, "error", err)
		}
		gapFound := rs.node.GapFound()
		if err != nil {
			gapFound = nil // the master is away, and does not come back for being asked
		}
		select {
		case <-ctx.Done():
			return nil
		case <-gapFound:
		case <-time.After(tail.Jitter(proveEvery)):
		}
	}
}

// lagProber compares a replica with its master. It belongs to one goroutine.
type lagProber struct {
	rs         *replicaSet
	addr       string
	replica    *redis.Client
	master     *redis.Client // nil at first
	masterAddr string
}

func (p *lagProber) close() {
	_ = p.replica.Close()
	if p.master != nil {
		_ = p.master.Close()
	}
}

// prove waits until the replica has what the master has now, and confirms the
// gaps that were pending before. The error is tail.ErrSwitchServer if the
// replica is not to be followed any longer, another one if the master could not
// be asked.
func (p *lagProber) prove(ctx context.Context) error {
	asked := time.Now()
	addr, _, err := p.rs.members(ctx)
	if err != nil && p.master == nil {
		return err
	}
	// If nobody names the master, the last one will do: it says itself whether
	// it is one, and of which history.
	if err == nil && addr != p.masterAddr {
		if p.master != nil {
			_ = p.master.Close()
		}
		p.master, p.masterAddr = p.rs.client(addr), addr
	}
	want, answersFor, err := p.rs.masterPosition(clientAsker{ctx, p.master})
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, lagPatience)
	defer cancel()
	err = awaitCaughtUp(limited, p.replica, want)
	if _, lag := p.rs.count(time.Now()); errors.Is(err, errNotReplica) || err != nil && lag > lagPatience {
		return fmt.Errorf("%w: the replica %s: %w", tail.ErrSwitchServer, p.addr, err)
	}
	if err != nil {
		return err // of one answer that took long; a server that is gone ends the session by itself
	}
	p.rs.provenAt.Store(&asked)
	if p.rs.node.ConfirmGaps(asked, answersFor) {
		p.rs.node.ServerChanged()
	}
	return nil
}
