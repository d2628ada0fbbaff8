package topology

import (
	"context"
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

// fixedMembers is a membership that does not change.
type fixedMembers struct {
	master   string
	replicas []string
}

func (m fixedMembers) members(context.Context) (string, []string, error) {
	return m.master, m.replicas, nil
}
func (fixedMembers) ownedKeys(tail.Asker) (func(string) bool, error) { return nil, nil }
func (fixedMembers) Changed(error)                                   {}

// newTestReplicas returns a replicaSet of servers that a user of the master's URL
// may ask.
func newTestReplicas(t *testing.T, url string, m membership) *replicaSet {
	t.Helper()
	o := testOptions(t, url)
	topo := newSingle(o)
	closeAtEnd(t, topo)
	return newReplicaSet(&o, topo.node, m)
}

// Each replica has its turn, but for one that is behind, and the master if none
// is known or may be asked.
func TestReplicaChoice(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, redistest.WithUser("uninformed on >pass ~* +role"))
	one, other := redistest.StartReplica(t, master), redistest.StartReplica(t, master)
	replicas := []string{one.Addr(), other.Addr()}
	rs := newTestReplicas(t, master.URL(), nil)
	rs.membership = fixedMembers{}
	// A choice that is not proven is one among servers that did not answer in
	// time, as it happens on a busy machine.
	chosen := map[string]int{}
	choose := func() {
		if addr, proven, _ := rs.bestReplica(t.Context(), master.Addr(), replicas); proven {
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
	if addr, proven, why := rs.bestReplica(t.Context(), master.Addr(), nil); addr != "" || proven || why == nil {
		t.Errorf("none is known: %s, %v, %v", addr, proven, why)
	}
	if addr, proven, _ := rs.bestReplica(t.Context(), other.Addr(), []string{master.Addr(), one.Addr()}); addr == master.Addr() || proven {
		t.Errorf("a master was chosen as a replica, or a replica believed as a master: %s, %v", addr, proven)
	}
	denied := newTestReplicas(t, master.URLAs("uninformed", "pass"), fixedMembers{master.Addr(), replicas})
	target, err := denied.choose(t.Context())
	if err != nil || target != (tail.Target{Addr: master.Addr()}) {
		t.Errorf("who may not ask how far a replica is reads from %+v, %v", target, err)
	}
}

// A master that cannot be asked does not keep a replica from being read: the one
// that has most is followed, and it is not proven.
func TestReplicaWithoutItsMaster(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	master.XAdd("sse:a", "data", "x")
	replica.AwaitSync(master)
	rs := newTestReplicas(t, master.URL(), fixedMembers{master.Addr(), []string{replica.Addr()}})
	master.Kill()
	before := *rs.provenAt.Load()
	redistest.Eventually(t, patience, "the replica to be chosen", func() bool {
		target, err := rs.choose(t.Context())
		return err == nil && target == tail.Target{Addr: replica.Addr(), Replica: true}
	})
	if !rs.provenAt.Load().Equal(before) {
		t.Error("it is proven without its master")
	}
	if n, lag := rs.count(before.Add(time.Minute)); n != 1 || lag != time.Minute {
		t.Errorf("%d replicas, %v behind", n, lag)
	}
	// Once it is promoted there is no going on.
	replica.Promote()
	if err := requireReplica(clientAsker{t.Context(), replica.Client()}); !errors.Is(err, tail.ErrSwitchServer) || !errors.Is(err, errNotReplica) {
		t.Errorf("it was promoted: %v", err)
	}
}

// How far a replica is behind does not depend on the clock.
func TestLagWhenTheClockIsSet(t *testing.T) {
	t.Parallel()
	rs := &replicaSet{}
	proven := time.Now()
	rs.provenAt.Store(&proven)
	if n, lag := rs.count(proven.Add(time.Second)); n != 0 || lag != 0 {
		t.Errorf("%d replicas before any is followed, %v behind", n, lag)
	}
	rs.current.Store(&tail.Target{Replica: true})
	for _, d := range []time.Duration{-time.Hour, time.Hour} {
		if _, lag := rs.count(redistest.SetClock(t, proven.Add(time.Second), d)); lag != time.Second {
			t.Errorf("with the clock set by %v it is behind by %v, want a second", d, lag)
		}
	}
	var none *replicaSet
	if n, _ := none.count(proven); n != 0 || none.followsReplica() {
		t.Error("a set of none follows a replica")
	}
}
