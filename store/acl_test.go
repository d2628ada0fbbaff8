package store

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// leastPrivilege is all that a user of the gateway needs, for keys that begin
// with sse: (the package's documentation lists the commands).
const leastPrivilege = "resetkeys resetchannels -@all %R~sse:* " +
	"+xinfo|stream +xrange +xrevrange +multi +exec +client|tracking"

// What the topologies need besides.
const (
	sentinelPrivilege = leastPrivilege + " +role"
	clusterPrivilege  = leastPrivilege + " +cluster|slots +cluster|nodes +asking"

	sentinelReplicaPrivilege = sentinelPrivilege + " +info"
	clusterReplicaPrivilege  = clusterPrivilege + " +info +readonly"
)

func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, redistest.WithUser("default off"), redistest.WithUser("gateway on >pass "+leastPrivilege))
	s := openHealthy(t, srv.URLAs("gateway", "pass"), nil)
	exerciseAll(t, s, srv)
	for _, w := range [][]any{{"XADD", "sse:a", "*", "data", "x"}, {"DEL", "sse:a"}, {"XTRIM", "sse:a", "MAXLEN", 0}, {"XRANGE", "other", "-", "+"}} {
		if err := s.client(t).Do(t.Context(), w...).Err(); !resp.IsDenied(err) {
			t.Errorf("%v: %v", w, err)
		}
	}
}

// exerciseAll has the store use every command that it has for one server.
func exerciseAll(t *testing.T, s *testStore, srv *redistest.Server) {
	t.Helper()
	r := s.subscribe(t, "a")
	ids := fill(t, srv.Client(), "sse:a", 20, short)
	r.awaitID(ids[19].String())
	for _, start := range []func() (Cursor, error){
		func() (Cursor, error) { return r.sub.Last(t.Context(), math.MaxInt) },
		func() (Cursor, error) { return r.sub.Last(t.Context(), 100) },
		func() (Cursor, error) { return r.sub.After(ID{}), nil },
	} {
		s.empty("a")
		var err error
		if r.cur, err = start(); err != nil {
			t.Fatal(err)
		}
		r.got = nil
		r.drain()
		wantIDs(t, "history", r.got, ids)
	}
	srv.Do("DEL", "sse:a")
	s.awaitGone(t, "a")
	r.got = nil
	r.awaitID(srv.XAdd("sse:a", "data", "x"))
	srv.KillClients(func(c map[string]string) bool { return true })
	r.awaitID(srv.XAdd("sse:a", "data", "y"))
	if s.sweepFinds() != 0 || len(r.got) != 2 {
		t.Errorf("%d finds of the sweep, got %v", s.sweepFinds(), r.got)
	}
}

// TestPrivilegeLost takes the permission for one key, then for all, and gives
// it back.
func TestPrivilegeLost(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, redistest.WithUser("gateway on >pass "+leastPrivilege))
	s := openHealthy(t, srv.URLAs("gateway", "pass"), nil)
	one, other := s.subscribe(t, "one"), s.subscribe(t, "other")
	one.awaitID(srv.XAdd("sse:one", "data", "0"))
	other.awaitID(srv.XAdd("sse:other", "data", "0"))
	one.got = nil

	srv.Do("ACL", "SETUSER", "gateway", "resetkeys", "%R~sse:other", "%R~sse:gateway.probe")
	id := srv.XAdd("sse:one", "data", "1")
	other.awaitID(srv.XAdd("sse:other", "data", "1"))
	other.awaitID(srv.XAdd("sse:other", "data", "2"))
	if ok, reason := s.Health(); !ok || s.sessions() != 1 {
		t.Errorf("one channel's trouble is all channels': %q, %d sessions", reason, s.sessions())
	}
	if one.drain(); len(one.got) != 0 {
		t.Errorf("got %v", one.got)
	}
	srv.Do("ACL", "SETUSER", "gateway", "%R~sse:*")
	one.awaitID(id)
	if s.sweepFinds() != 0 {
		t.Errorf("%d finds of the sweep", s.sweepFinds())
	}

	srv.Do("ACL", "SETUSER", "gateway", "resetkeys")
	s.awaitHealth(t, false)
	if _, reason := s.Health(); !strings.Contains(reason, "refuses the gateway's user") {
		t.Errorf("Health: %q", reason)
	}
	if _, err := s.trySubscribe(t, "new"); !errors.Is(err, ErrUnavailable) || value(s.m.Store.RedisErrors.WithLabelValues("denied")) == 0 {
		t.Errorf("Subscribe: %v", err)
	}
	one.awaitStalled(true)
	id = srv.XAdd("sse:one", "data", "2")
	srv.Do("ACL", "SETUSER", "gateway", "%R~sse:*")
	one.awaitID(id)
	one.awaitStalled(false)
	s.awaitHealth(t, true)
	if s.sweepFinds() != 0 {
		t.Errorf("%d finds of the sweep", s.sweepFinds())
	}
}

// TestPasswordChanged changes the password under a session: it goes on, until
// it has to log in again.
func TestPasswordChanged(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, redistest.WithPassword("old"))
	s := openHealthy(t, srv.URL(), nil)
	r := s.subscribe(t, "a")
	srv.Do("CONFIG", "SET", "requirepass", "new")
	r.awaitID(srv.XAdd("sse:a", "data", "x"))
	srv.KillClients(func(map[string]string) bool { return true })
	s.awaitHealth(t, false)
	if _, reason := s.Health(); !strings.Contains(reason, "refuses the gateway's user") {
		t.Errorf("Health: %q", reason)
	}
	id := srv.XAdd("sse:a", "data", "y")
	srv.Do("CONFIG", "SET", "requirepass", "old")
	r.awaitID(id)
	s.awaitHealth(t, true)
}

// TestPasswordRotation changes the password of a user and then, with the user's
// connections cut, the file that it is read from.
func TestPasswordRotation(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, redistest.WithUser("gateway on >old "+leastPrivilege))
	file := filepath.Join(t.TempDir(), "redis-password")
	write := func(password string) {
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old")
	s := openHealthy(t, srv.URL(), func(c *Config) { c.RedisUsername, c.RedisPasswordFile = "gateway", file })
	r := s.subscribe(t, "a")
	srv.Do("ACL", "SETUSER", "gateway", "resetpass", ">new")
	r.awaitID(srv.XAdd("sse:a", "data", "with the old connections"))
	cut := func() {
		if srv.KillClients(func(c map[string]string) bool { return c["user"] == "gateway" }) == 0 {
			t.Error("nobody was logged in as gateway")
		}
	}
	cut()
	s.awaitHealth(t, false)
	if _, reason := s.Health(); !strings.Contains(reason, "refuses the gateway's user") {
		t.Errorf("Health: %q", reason)
	}
	id := srv.XAdd("sse:a", "data", "meanwhile")
	write("new")
	r.awaitID(id)
	s.awaitHealth(t, true)
	s.subscribe(t, "b") // reads where the stream is, with a client of its own

	cut() // with the file as it should be, clients notice nothing
	r.awaitID(srv.XAdd("sse:a", "data", "with other connections"))
}

// TestTrackingDenied: a right that is missing is an error that names it. To poll
// in its place would hide a mistake behind a load on Redis.
func TestTrackingDenied(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, redistest.WithUser("gateway on >pass "+leastPrivilege+" -client|tracking"))
	s := open(t, srv.URLAs("gateway", "pass"), nil)
	redistest.Eventually(t, patience, "the reason in the health", func() bool {
		ok, text := s.Health()
		return !ok && strings.Contains(text, "refuses the gateway's user") && strings.Contains(text, "client|tracking")
	})
	srv.Do("ACL", "SETUSER", "gateway", "+client|tracking")
	s.awaitHealth(t, true)
	r := s.subscribe(t, "a")
	r.awaitID(srv.XAdd("sse:a", "data", "x"))
}

// TestTLS has a password, TLS with client certificates, and a Unix socket.
func TestTLS(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, redistest.WithTLS(), redistest.WithUnixSocket(), redistest.WithUser("gateway on >p@ss:/#word "+leastPrivilege))
	for _, url := range []string{srv.URLAs("gateway", "p@ss:/#word"), "unix://gateway:p%40ss%3A%2F%23word@" + srv.Socket} {
		s := openHealthy(t, url, nil)
		r := s.subscribe(t, "a")
		r.awaitID(srv.XAdd("sse:a", "data", "x"))
	}
	wrong := open(t, strings.Replace(srv.URLAs("gateway", "p@ss:/#word"), "gateway:", "gateway:x", 1), nil)
	redistest.Eventually(t, patience, "the refusal", func() bool {
		_, reason := wrong.Health()
		return strings.Contains(reason, "refuses the gateway's user")
	})
}
