package redistest

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Client returns a client for the test's own use, logged in as the harness's
// user, who may do everything. It never retries. It is shared, safe for
// concurrent use, goes on working after Restart, and is closed with the test.
func (s *Server) Client() *redis.Client { return s.client }

// Do runs a command and returns its reply (nil for a null one); an error fails
// the test.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	reply, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("redis-server on %s: %v: %v", s, args, err)
	}
	return reply
}

// try is Do for a caller that can live with an error.
func (s *Server) try(args ...any) (any, error) {
	reply, err := s.client.Do(context.Background(), args...).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return reply, err
}

// text is Do for a command that replies with a string.
func (s *Server) text(args ...any) string {
	s.t.Helper()
	reply, ok := s.Do(args...).(string)
	if !ok {
		s.t.Fatalf("redis-server on %s: %v: the reply is not a string", s, args)
	}
	return reply
}

// XAdd adds an entry of field, value, field, value, … to a stream, with an id
// that Redis chooses, and returns the id.
func (s *Server) XAdd(key string, fields ...string) (id string) {
	s.t.Helper()
	return s.text(xaddArgs(key, fields)...)
}

func xaddArgs(key string, fields []string) []any {
	args := []any{"XADD", key, "*"}
	for _, f := range fields {
		args = append(args, f)
	}
	return args
}

// Info returns the fields of a section of INFO.
func (s *Server) Info(section string) map[string]string {
	s.t.Helper()
	return infoFields(s.text("INFO", section))
}

// infoFields reads the "name:value" lines of INFO and CLUSTER INFO.
func infoFields(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// Commandstats returns how often each command was called since the server
// started or CONFIG RESETSTAT, by the lower-case name, with "|" before a
// subcommand: "xread", "client|tracking". The harness's own calls count.
func (s *Server) Commandstats() map[string]int64 {
	s.t.Helper()
	calls := map[string]int64{}
	for name, value := range s.Info("commandstats") {
		n, err := strconv.ParseInt(fields(value, ",")["calls"], 10, 64)
		if err != nil {
			s.t.Fatalf("redis-server on %s: INFO commandstats says %s:%s", s, name, value)
		}
		calls[strings.TrimPrefix(name, "cmdstat_")] = n
	}
	return calls
}

// ClientList returns CLIENT LIST, the harness's connections included, each as
// a map of its fields ("id", "addr", "name", "cmd", "user", "flags", …).
func (s *Server) ClientList() []map[string]string {
	s.t.Helper()
	var clients []map[string]string
	for line := range strings.Lines(s.text("CLIENT", "LIST")) {
		clients = append(clients, fields(strings.TrimSpace(line), " "))
	}
	return clients
}

// NumClients returns how many connections the server has, without those of the
// harness, of its replicas and of its sentinels.
func (s *Server) NumClients() int {
	s.t.Helper()
	n := 0
	for _, c := range s.ClientList() {
		if c["user"] != harnessUser {
			n++
		}
	}
	return n
}

// KillClients cuts the connections that filter returns true for (see
// ClientList), those of the harness itself excepted, and returns how many.
func (s *Server) KillClients(filter func(client map[string]string) bool) int {
	s.t.Helper()
	n := 0
	for _, c := range s.ClientList() {
		if c["name"] == harnessName || !filter(c) {
			continue
		}
		if killed, _ := s.Do("CLIENT", "KILL", "ID", c["id"]).(int64); killed > 0 {
			n++
		}
	}
	return n
}

// fields reads a list of name=value pairs.
func fields(list, separator string) map[string]string {
	m := map[string]string{}
	for pair := range strings.SplitSeq(list, separator) {
		if name, value, ok := strings.Cut(pair, "="); ok {
			m[name] = value
		}
	}
	return m
}
