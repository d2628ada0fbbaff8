package topology

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
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
	for sleep(ctx, returnWait/2+rand.N(returnWait)) {
		master, replicas, err := rs.members(ctx)
		if err != nil {
			continue
		}
		if addr, proven, _ := rs.bestReplica(ctx, master, replicas); proven {
			return fmt.Errorf("%w: the replica %s has what the master has", tail.ErrSwitchServer, addr)
		}
	}
	return nil
}

// watchReplica proves again and again that the replica has what the master has,
// and returns tail.ErrSwitchServer when it did not for lagPatience, though the
// master could be asked; nil when ctx ends.
func (rs *replicaSet) watchReplica(ctx context.Context, target tail.Target) error {
	p := &lagProber{rs: rs, replica: rs.options.questionClient(target.Addr)}
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
	rs              *replicaSet
	replica, master *redis.Client // master is nil at first
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
	if err == nil && (p.master == nil || p.master.Options().Addr != addr) {
		if p.master != nil {
			_ = p.master.Close()
		}
		p.master = p.rs.options.questionClient(addr)
	}
	want, answersFor, err := p.rs.masterPosition(clientAsker{ctx, p.master})
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, lagPatience)
	defer cancel()
	err = awaitCaughtUp(limited, p.replica, want)
	if _, lag := p.rs.count(time.Now()); errors.Is(err, errNotReplica) || err != nil && lag > lagPatience {
		return fmt.Errorf("%w: the replica %s: %w", tail.ErrSwitchServer, p.replica.Options().Addr, err)
	}
	if err != nil {
		return err // of one answer that took long; a server that is gone ends the session by itself
	}
	p.rs.provenAt.Store(&asked)
	if p.rs.node.ConfirmGaps(asked, answersFor) {
		p.rs.Changed(nil)
	}
	return nil
}

// replication is what a server says of its part in replication.
type replication struct {
	master bool
	linked bool   // of a replica: it is connected to its master and in sync
	id     string // of the history that offset is a place in
	offset int64  // how much of that history the server has, in bytes
}

// askReplication asks a server. INFO, and not ROLE, because ROLE leaves out which
// history an offset is of: the replica of a master that was deposed can have the
// greater one.
func askReplication(c tail.Asker) (replication, error) {
	reply, err := c.Do("INFO", "replication")
	if err != nil {
		return replication{}, err
	}
	text, _ := reply.(string)
	return parseReplication(text)
}

// parseReplication reads INFO replication.
// See https://redis.io/docs/latest/commands/info/.
func parseReplication(text string) (replication, error) {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		fields[name] = value
	}
	r := replication{master: fields["role"] == "master", linked: fields["master_link_status"] == "up", id: fields["master_replid"]}
	offset := "slave_repl_offset" // what was carried out, not only received
	if r.master {
		offset = "master_repl_offset"
	}
	var err error
	if r.offset, err = strconv.ParseInt(fields[offset], 10, 64); err != nil || fields["role"] == "" || r.id == "" {
		return replication{}, fmt.Errorf("INFO replication says role %q, master_replid %q and %s %q: expected a role, an id and a number",
			fields["role"], r.id, offset, fields[offset])
	}
	return r, nil
}

// caughtUpWith reports whether a replica has everything that its master had at a
// position.
func (r replication) caughtUpWith(m replication) bool {
	return !r.master && r.linked && r.id == m.id && r.offset >= m.offset
}
