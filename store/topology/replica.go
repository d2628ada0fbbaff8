package topology

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/sse-gateway/sse-gateway/store/resp"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

// catchUpGap is how long a replica that is behind is left before it is asked
// again; it is doubled up to the longest.
const (
	catchUpGap    = 10 * time.Millisecond
	maxCatchUpGap = 200 * time.Millisecond
)

// fitReplica returns a replica that has what the master has now, or has come as far
// within the patience. The order is random, so that gateways spread. If the master
// cannot be asked, any replica will do: to go on reading is worth more than to know
// that nothing is missing, and no gap counts before the master is there to be asked.
func (n *Node) fitReplica(ctx context.Context, master string, replicas []string, patience time.Duration) (addr string, why error) {
	asked := time.Now()
	want, err := n.askMaster(ctx, master)
	if errors.Is(err, tail.ErrSwitchServer) {
		return "", err
	}
	why = errors.New("none is known")
	for _, i := range rand.Perm(len(replicas)) {
		if why = n.awaitCaughtUp(ctx, patience, replicas[i], want); why == nil {
			if err == nil {
				n.provenAt.Store(&asked)
			}
			return replicas[i], nil
		}
	}
	return "", errors.Join(err, why)
}

// askMaster asks the master how far it is. The error wraps tail.ErrSwitchServer
// if no replica can stand in for it: while a slot moves away only the master
// knows, because on a replica the keys that have moved are as good as deleted.
func (n *Node) askMaster(ctx context.Context, master string) (position replication, err error) {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	c := n.topo.clients.asker(ctx, master)
	if n.topo.clients.isCluster() {
		v, err := askView(c)
		if err == nil && len(v.migrating) > 0 {
			err = fmt.Errorf("%w: slots are on their way from the master to another", tail.ErrSwitchServer)
		}
		if err != nil {
			return replication{}, err
		}
	}
	if position, err = askReplication(c); err == nil && !position.master {
		err = errNotMaster
	}
	return position, err
}

// awaitCaughtUp waits until a replica has what its master had at a position.
func (n *Node) awaitCaughtUp(ctx context.Context, patience time.Duration, replica string, want replication) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := n.topo.clients.asker(ctx, replica)
	for gap := catchUpGap; ; gap = min(2*gap, maxCatchUpGap) {
		have, err := askReplication(c)
		switch {
		case err == nil && have.caughtUpWith(want):
			return nil
		case err == nil && have.master:
			err = errNotReplica
		case resp.IsReply(err):
		case sleep(ctx, gap):
			continue
		case err == nil:
			err = errors.New("it is behind the master")
		}
		return fmt.Errorf("the replica %s: %w", replica, err)
	}
}

// replication is what a server says of its part in replication. Of the zero
// replication nothing is known.
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
// position. Nothing is missing of an unknown one.
func (r replication) caughtUpWith(m replication) bool {
	return !r.master && (m.id == "" || r.linked && r.id == m.id && r.offset >= m.offset)
}
