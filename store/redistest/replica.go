package redistest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// StartReplica starts a server that replicates master, with the same users,
// passwords and certificates, and returns when it has caught up.
func StartReplica(t testing.TB, master *Server, opts ...Option) *Server {
	t.Helper()
	all := append(master.cfg.access(), withOwn(fmt.Sprintf("replicaof 127.0.0.1 %d", master.port)))
	s := Start(t, append(all, opts...)...)
	s.AwaitSync(master)
	return s
}

// Promote makes a replica a master (REPLICAOF NO ONE). Nobody else is told.
func (s *Server) Promote() {
	s.t.Helper()
	s.Do("REPLICAOF", "NO", "ONE")
}

// Role returns "master", "slave" or "sentinel".
func (s *Server) Role() string {
	s.t.Helper()
	role, err := s.role()
	if err != nil {
		s.t.Fatalf("redis-server on %s: ROLE: %v", s, err)
	}
	return role
}

func (s *Server) role() (string, error) {
	reply, err := s.try("ROLE")
	if err != nil {
		return "", err
	}
	parts, ok := reply.([]any)
	if !ok || len(parts) == 0 {
		return "", fmt.Errorf("unexpected reply %v", reply)
	}
	return fmt.Sprint(parts[0]), nil
}

// AwaitSync waits until this replica has everything that was written to master
// before the call.
func (s *Server) AwaitSync(master *Server) {
	s.t.Helper()
	want := replicationOffset(s, master.Info("replication"), "master_repl_offset")
	Eventually(s.t, settleTimeout, fmt.Sprintf("%s to have what %s has", s, master), func() bool {
		info := s.replication()
		return info["master_link_status"] == "up" && info["master_port"] == strconv.Itoa(master.port) &&
			replicationOffset(s, info, "slave_repl_offset") >= want && master.feeds(s)
	})
}

// replication is Info of that section, and nothing while the server cannot be
// asked: a Sentinel that makes it a replica ends the connections of its clients.
func (s *Server) replication() map[string]string {
	reply, err := s.try("INFO", "replication")
	if err != nil {
		return nil
	}
	text, _ := reply.(string)
	return infoFields(text)
}

// feeds reports whether the server sends its writes to a replica. Just after a
// full sync it holds them back, while the replica says that its link is up.
func (s *Server) feeds(replica *Server) bool {
	s.t.Helper()
	for name, value := range s.replication() {
		r := fields(value, ",")
		if strings.HasPrefix(name, "slave") && r["port"] == strconv.Itoa(replica.port) {
			return r["state"] == "online"
		}
	}
	return false
}

func replicationOffset(s *Server, info map[string]string, field string) int64 {
	s.t.Helper()
	n, err := strconv.ParseInt(info[field], 10, 64)
	if err != nil {
		s.t.Fatalf("redis-server on %s: INFO replication says %s:%s", s, field, info[field])
	}
	return n
}
