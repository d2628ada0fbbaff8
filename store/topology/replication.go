package topology

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sse-gateway/sse-gateway/store/tail"
)

// replication is what a server says of its part in replication.
type replication struct {
	master bool
	linked bool   // of a replica: it is connected to its master and in sync
	id     string // of the history that offset is a place in
	offset int64  // how much of that history the server has, in bytes
}

// askReplication asks a server.
//
// INFO, and not ROLE, because ROLE leaves out which history an offset is of: the
// replica of a master that was deposed can have the greater one.
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
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	r := replication{master: fields["role"] == "master", id: fields["master_replid"]}
	offset := "master_repl_offset"
	if !r.master {
		r.linked = fields["master_link_status"] == "up"
		offset = "slave_repl_offset" // what was carried out, not only received
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
