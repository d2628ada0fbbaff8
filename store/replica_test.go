package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// returning is how long a test waits for the way back from the master to a
// replica, which has to be in sync again.
const returning = 45 * time.Second

// fromReplicas has a store read from replicas, and go back to one soon.
func fromReplicas(c *Config) { c.ReadReplicas, c.returnWait = true, time.Second }

// awaitReplicas waits until so many nodes are read from a replica.
func (s *testStore) awaitReplicas(t testing.TB, want int) {
	t.Helper()
	redistest.Eventually(t, returning, fmt.Sprintf("%d nodes to be read from a replica", want), func() bool {
		s.observe(time.Now())
		ok, _ := s.Health()
		return ok && int(value(s.m.Store.TailReplicas)) == want
	})
}

// stall has a replica take part in everything but carry out no write, until the
// returned function is called.
func stall(replica *redistest.Server) (goOn func()) {
	replica.Do("CLIENT", "PAUSE", time.Hour.Milliseconds(), "WRITE")
	return func() { replica.Do("CLIENT", "UNPAUSE") }
}

// reads returns how many entries, or whole streams, a server was asked for.
func reads(srv *redistest.Server) (n int64) {
	for name, calls := range srv.Commandstats() {
		switch name {
		case "xrange", "xrevrange", "xinfo|stream", "client|tracking":
			n += calls
		}
	}
	return n
}

// TestReadsFromReplica reads from a replica whatever there is to be read. What
// is written to the master arrives by the replica's invalidations: there is no
// sweep, nor polling.
func TestReadsFromReplica(t *testing.T) {
	t.Parallel()
	users := []redistest.Option{redistest.WithUser("default off"), redistest.WithUser("gateway on >pass " + sentinelReplicaPrivilege)}
	master := redistest.Start(t, users...)
	g := redistest.StartSentinel(t, "m", master, 1, redistest.WithUser("default off"),
		redistest.WithUser("asker on >secret resetkeys resetchannels -@all +sentinel|master +sentinel|replicas"))
	replica := g.Servers()[1]
	ids := fill(t, master.Client(), "sse:a", 20, short)
	replica.AwaitSync(master)
	s := openHealthy(t, strings.Replace(g.URL(), "://", "://gateway:pass@", 1)+"&sentinel_user=asker&sentinel_password=secret", fromReplicas)
	s.awaitReplicas(t, 1)
	before := reads(master)
	r := s.subscribe(t, "a")
	for range 3 {
		r.awaitID(master.XAdd("sse:a", "data", "x"))
	}
	if len(r.got) != 3 {
		t.Errorf("got %v", r.got)
	}
	s.empty("a")
	r.at(ID{}).drain()
	if len(r.got) != len(ids)+3 {
		t.Errorf("%d events from history, want %d", len(r.got), len(ids)+3)
	}
	if _, err := r.sub.Last(t.Context(), 5); err != nil {
		t.Errorf("Last: %v", err)
	}
	if n := reads(master) - before; n != 0 {
		t.Errorf("the master was read from %d times: %v", n, master.Commandstats())
	}
	if c := replica.Commandstats(); c["xrange"] == 0 || c["client|tracking"] != 1 {
		t.Errorf("the replica was not read from: %v", c)
	}
	if s.sessions() != 1 || s.sweepFinds() != 0 {
		t.Errorf("%d sessions, %d finds of the sweep", s.sessions(), s.sweepFinds())
	}
}

func TestReplicaSentinelFailover(t *testing.T) {
	t.Parallel()
	testSentinelFailover(t, sentinelReplicaPrivilege, fromReplicas)
}

func TestReplicaFailoverLosesEntries(t *testing.T) {
	t.Parallel()
	testFailoverLosesEntries(t, fromReplicas)
}

// TestReplicaMasterKilled goes on when the master dies: clients still resume,
// and what the new master gets comes, whichever of the replicas that is.
func TestReplicaMasterKilled(t *testing.T) {
	t.Parallel()
	first := redistest.Start(t)
	g := redistest.StartSentinel(t, "m", first, 2)
	s := openHealthy(t, g.URL(), fromReplicas)
	s.awaitReplicas(t, 1)
	live, resumed := s.subscribe(t, "a"), s.subscribe(t, "a")
	live.awaitID(first.XAdd("sse:a", "data", "x"))
	for _, replica := range g.Servers()[1:] {
		replica.AwaitSync(first)
	}
	first.Kill()
	s.empty("a")
	if resumed.at(ID{}).drain(); len(resumed.got) != 1 {
		t.Errorf("without a master: got %v", resumed.got)
	}
	second := g.AwaitFailover(first)
	live.awaitID(second.XAdd("sse:a", "data", "y"))
	s.awaitReplicas(t, 1)
	live.awaitID(second.XAdd("sse:a", "data", "z"))
	resumed.awaitID(live.got[len(live.got)-1].id.String())
	if len(live.got) != 3 || len(resumed.got) != 3 {
		t.Errorf("got %v and %v", live.got, resumed.got)
	}
}

// TestReplicaKilled reads from the master while there is no replica, and from
// the replica again when it is back, or from another.
func TestReplicaKilled(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	g := redistest.StartSentinel(t, "m", master, 1)
	replica := g.Servers()[1]
	s := openHealthy(t, g.URL(), fromReplicas)
	s.awaitReplicas(t, 1)
	r := s.subscribe(t, "a")
	p := startPour(master, "a")
	r.await("some events", func() bool { return len(r.got) > 20 })
	replica.Kill()
	s.awaitReplicas(t, 0)
	n := len(r.got)
	r.await("events of the master", func() bool { return len(r.got) > n+20 })
	replica.Restart()
	s.awaitReplicas(t, 1)
	n = len(r.got)
	r.await("events of the replica", func() bool { return len(r.got) > n+20 })
	p.judge(t, master, r, ID{})
	if s.sweepFinds() != 0 {
		t.Errorf("%d finds of the sweep", s.sweepFinds())
	}
}

// TestReplicaBehind resumes, on a replica that is behind, at what the replica
// does not have yet: nobody is told of a gap, unless there is one.
func TestReplicaBehind(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	g := redistest.StartSentinel(t, "m", master, 1)
	replica := g.Servers()[1]
	for _, key := range []string{"sse:a", "sse:gone"} {
		master.Do("XADD", key, "10-0", "data", "0")
	}
	replica.AwaitSync(master)
	s := openHealthy(t, g.URL(), fromReplicas)
	s.awaitReplicas(t, 1)
	live, ahead, beyond, gone := s.subscribe(t, "a"), s.subscribe(t, "a"), s.subscribe(t, "a"), s.subscribe(t, "gone")
	goOn := stall(replica)
	master.Do("XADD", "sse:a", "20-0", "data", "1")
	master.Do("XADD", "sse:a", "21-0", "data", "2")
	if n := replica.Do("XLEN", "sse:a"); n != int64(1) {
		t.Fatalf("the replica has %v entries: not the fault that was meant", n)
	}
	// It has seen what the replica does not have; the master knows. Nothing is
	// delivered that the tail has not read, and nothing is lost.
	if ahead.at(ID{Ms: 20, Seq: 0}).drain(); len(ahead.got) > 0 {
		t.Errorf("ahead of the replica: got %v", ahead.got)
	}
	// This was never there, and to say so does not wait for the replica.
	if beyond.at(ID{Ms: 99, Seq: 0}).drain(); len(beyond.got) == 0 || beyond.got[0].gap == nil || beyond.got[0].gap.Reason != "reset" {
		t.Errorf("beyond the master: got %v", beyond.got)
	}
	goOn()
	master.Do("XADD", "sse:a", "22-0", "data", "3")
	live.awaitID("22-0")
	ahead.awaitID("22-0")
	if fmt.Sprint(live.got, ahead.got) != "[20-0 1 21-0 2 22-0 3] [21-0 2 22-0 3]" {
		t.Errorf("got %v and %v", live.got, ahead.got)
	}
	// What is gone is told.
	master.Do("DEL", "sse:gone")
	master.Do("XADD", "sse:gone", "5-0", "data", "new")
	gone.awaitID("5-0")
	if fmt.Sprint(gone.got) != "[gap(10-0,0-0 reset) 5-0 new]" {
		t.Errorf("got %v", gone.got)
	}
	master.Do("FLUSHALL")
	s.awaitGone(t, "a")
}

// TestReplicaStaysBehind reads from the master when the replica is behind for
// long, and the events come.
func TestReplicaStaysBehind(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	g := redistest.StartSentinel(t, "m", master, 1)
	s := openHealthy(t, g.URL(), fromReplicas)
	s.awaitReplicas(t, 1)
	r := s.subscribe(t, "a")
	goOn := stall(g.Servers()[1])
	defer goOn()
	r.awaitID(master.XAdd("sse:a", "data", "x"))
	s.awaitReplicas(t, 0)
	goOn()
	s.awaitReplicas(t, 1)
	r.awaitID(master.XAdd("sse:a", "data", "y"))
	if len(r.got) != 2 {
		t.Errorf("got %v", r.got)
	}
}

// TestReplicaWithoutMaster has a replica come back empty while the master is
// frozen: what it lacks is in doubt, and not told as lost, however long that
// takes.
func TestReplicaWithoutMaster(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	g := redistest.StartSentinel(t, "m", master, 1)
	replica := g.Servers()[1]
	for _, n := range g.Nodes() { // no failover is wanted
		n.Do("SENTINEL", "SET", "m", "down-after-milliseconds", time.Hour.Milliseconds())
	}
	s := openHealthy(t, g.URL(), fromReplicas)
	s.awaitReplicas(t, 1)
	live, resumed, ahead := s.subscribe(t, "a"), s.subscribe(t, "a"), s.subscribe(t, "a")
	for i := range 3 {
		live.awaitID(master.Do("XADD", "sse:a", fmt.Sprintf("%d-0", 10+i), "data", i).(string))
	}
	live.got = nil
	stall(replica)
	master.Do("XADD", "sse:a", "13-0", "data", "3")
	master.Pause()
	defer master.Resume()
	ahead.at(ID{Ms: 13, Seq: 0})
	if _, state := ahead.cur.Next(1 << 16); state != Behind {
		t.Errorf("ahead of the replica: state %v", state)
	}
	if b, err := ahead.cur.Fetch(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("ahead of the replica, which cannot be confirmed: got %v, %v", b, err)
	}
	replica.Kill()
	replica.Restart()
	doubtful := func() bool { // the tail has looked, and the stream is not there
		c := replica.Commandstats()
		return c["xinfo|stream"] > 0 && c["xrange"] > 0
	}
	redistest.Eventually(t, 2*patience, "the empty replica to be read", doubtful)
	s.empty("a")
	resumed.at(ID{Ms: 10, Seq: 0})
	for range 3 {
		if b, state := resumed.cur.Next(1 << 16); state == Behind {
			if b, err := resumed.cur.Fetch(t.Context()); err == nil && (b.Gap != nil || len(b.Entries) > 0) {
				t.Errorf("resumed: got %v", b)
			}
		} else if b.Gap != nil {
			t.Errorf("resumed: gap %v", b.Gap)
		}
	}
	if live.drain(); len(live.got) != 0 {
		t.Errorf("got %v", live.got)
	}
	master.Resume()
	live.awaitID(master.Do("XADD", "sse:a", "30-0", "data", "x").(string))
	resumed.awaitID("30-0")
	ahead.awaitID("30-0")
	if fmt.Sprint(live.got, resumed.got, ahead.got) != "[13-0 3 30-0 x] [11-0 1 12-0 2 13-0 3 30-0 x] [30-0 x]" {
		t.Errorf("got %v, %v and %v", live.got, resumed.got, ahead.got)
	}
	s.awaitReplicas(t, 1)
	// What the doubt was about can be lost all the same.
	master.Do("DEL", "sse:a")
	s.awaitGone(t, "a")
}
