package topology

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/tail"
)

func TestReplication(t *testing.T) {
	t.Parallel()
	text := func(lines ...string) string { return "# Replication\r\n" + strings.Join(lines, "\r\n") + "\r\n" }
	master := text("role:master", "connected_slaves:1", "slave0:ip=127.0.0.1,port=2,state=online,offset=7,lag=0", "master_replid:aa", "master_repl_offset:70")
	want, err := parseReplication(master)
	if err != nil || want != (replication{master: true, id: "aa", offset: 70}) {
		t.Fatalf("%+v, %v", want, err)
	}
	for name, c := range map[string]struct {
		text string
		has  bool
	}{
		"level":           {text("role:slave", "master_link_status:up", "slave_repl_offset:70", "master_replid:aa", "master_repl_offset:70"), true},
		"ahead":           {text("role:slave", "master_link_status:up", "slave_repl_offset:71", "master_replid:aa", "master_repl_offset:71"), true},
		"behind":          {text("role:slave", "master_link_status:up", "slave_read_repl_offset:70", "slave_repl_offset:69", "master_replid:aa", "master_repl_offset:70"), false},
		"cut off":         {text("role:slave", "master_link_status:down", "slave_repl_offset:70", "master_replid:aa", "master_repl_offset:70"), false},
		"another history": {text("role:slave", "master_link_status:up", "slave_repl_offset:99", "master_replid:bb", "master_repl_offset:99"), false},
		"promoted":        {master, false},
	} {
		r, err := parseReplication(c.text)
		if err != nil || r.caughtUpWith(want) != c.has {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	for _, wrong := range []string{"", "role:slave", text("role:master", "master_replid:aa"), text("role:slave", "master_replid:aa", "slave_repl_offset:x"), text("master_replid:aa", "slave_repl_offset:1")} {
		if _, err := parseReplication(wrong); err == nil || !strings.Contains(err.Error(), "expected") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// newTestNode returns a node of a master, as a user of the URL may ask it, which
// reads from its replicas.
func newTestNode(t *testing.T, url string, replicas ...string) *Node {
	t.Helper()
	o := testOptions(t, url)
	o.ReadReplicas = true
	topo := New(o)
	closeAtEnd(t, topo)
	n := topo.Nodes()[0]
	n.replicas = replicas
	return n
}

// Each replica has its turn, but for one that is behind, and the master if none
// is known or may be asked.
func TestReplicaChoice(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, redistest.WithUser("uninformed on >pass ~* +role"))
	one, other := redistest.StartReplica(t, master), redistest.StartReplica(t, master)
	replicas := []string{one.Addr(), other.Addr()}
	n := newTestNode(t, master.URL(), replicas...)
	chosen := map[string]int{}
	choose := func() {
		if addr, err := n.fitReplica(t.Context(), master.Addr(), replicas, questionTimeout); err == nil {
			chosen[addr]++
		}
	}
	redistest.Eventually(t, patience, "both replicas to be chosen", func() bool {
		choose()
		return chosen[one.Addr()] > 0 && chosen[other.Addr()] > 0
	})
	one.Do("CLIENT", "PAUSE", time.Hour.Milliseconds(), "WRITE") // it carries out no write
	master.XAdd("sse:a", "data", "x")
	other.AwaitSync(master)
	clear(chosen)
	redistest.Eventually(t, patience, "the other one to be chosen", func() bool {
		choose()
		return chosen[other.Addr()] == 3
	})
	if chosen[one.Addr()] > 0 {
		t.Errorf("chose %v; %s is behind", chosen, one)
	}
	one.Do("CLIENT", "UNPAUSE")
	if addr, why := n.fitReplica(t.Context(), master.Addr(), nil, questionTimeout); addr != "" || why == nil {
		t.Errorf("none is known: %s, %v", addr, why)
	}
	if addr, _ := n.fitReplica(t.Context(), other.Addr(), []string{master.Addr()}, questionTimeout); addr != "" {
		t.Errorf("a master was chosen as a replica: %s", addr)
	}
	denied := newTestNode(t, master.URLAs("uninformed", "pass"), replicas...)
	target, err := denied.Locate(t.Context())
	if err != nil || target != (tail.Target{Addr: master.Addr()}) {
		t.Errorf("who may not ask how far a replica is reads from %+v, %v", target, err)
	}
}

// A master that cannot be asked does not keep a replica from being read. The
// replica does not count as level with it.
func TestReplicaWithoutItsMaster(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	master.XAdd("sse:a", "data", "x")
	replica.AwaitSync(master)
	n := newTestNode(t, master.URL(), replica.Addr())
	master.Kill()
	before := *n.provenAt.Load()
	redistest.Eventually(t, patience, "the replica to be chosen", func() bool {
		target, err := n.Locate(t.Context())
		return err == nil && target == tail.Target{Addr: replica.Addr(), Replica: true}
	})
	if lag, is := n.ReplicaLag(before.Add(time.Minute)); !is || lag != time.Minute {
		t.Errorf("a replica %v, %v behind", is, lag)
	}
	// Once it is promoted there is no going on.
	replica.Promote()
	if err := n.Watch(t.Context(), *n.target.Load()); !errors.Is(err, tail.ErrSwitchServer) || !errors.Is(err, errNotReplica) {
		t.Errorf("it was promoted: %v", err)
	}
}

// How far a replica is behind does not depend on the clock.
func TestLagWhenTheClockIsSet(t *testing.T) {
	t.Parallel()
	n := &Node{}
	proven := time.Now()
	n.provenAt.Store(&proven)
	if lag, is := n.ReplicaLag(proven.Add(time.Second)); is || lag != 0 {
		t.Errorf("before any is followed: a replica %v, %v behind", is, lag)
	}
	n.target.Store(&tail.Target{Replica: true})
	for _, d := range []time.Duration{-time.Hour, time.Hour} {
		if lag, _ := n.ReplicaLag(redistest.SetClock(t, proven.Add(time.Second), d)); lag != time.Second {
			t.Errorf("with the clock set by %v it is behind by %v, want a second", d, lag)
		}
	}
}
