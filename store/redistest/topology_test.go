package redistest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestReplica(t *testing.T) {
	t.Parallel()
	m := Start(t, WithTLS())
	m.XAdd("k", "a", "b")
	r := StartReplica(t, m)
	if r.Role() != "slave" || r.Do("XLEN", "k") != int64(1) {
		t.Errorf("role %s, %v entries", r.Role(), r.Do("XLEN", "k"))
	}
	m.XAdd("k", "a", "b")
	r.AwaitSync(m)
	if n := r.Do("XLEN", "k"); n != int64(2) {
		t.Errorf("after AwaitSync: %v entries", n)
	}
	if n := m.NumClients(); n != 0 {
		t.Errorf("the replica counts as a client: %v", m.ClientList())
	}
	m.Kill()
	r.Promote()
	r.XAdd("k", "a", "b")
	if r.Role() != "master" {
		t.Errorf("role after Promote: %s", r.Role())
	}
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	first := Start(t, WithPassword("data"))
	g := StartSentinel(t, "mymaster", first, 2, WithPassword("guard"))
	if want := "redis+sentinel://:data@" + strings.Join(g.Addrs(), ",") + "/0?master=mymaster&sentinel_password=guard"; g.URL() != want {
		t.Errorf("URL %s, want %s", g.URL(), want)
	}
	if len(g.Addrs()) != 3 || g.Master() != first {
		t.Errorf("sentinels %v, master %v", g.Addrs(), g.Master())
	}
	c := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "mymaster", SentinelAddrs: g.Addrs(), SentinelPassword: "guard", Password: "data"})
	defer c.Close()
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}

	for _, replica := range g.Servers()[1:] {
		replica.AwaitSync(first)
	}
	second := g.Failover()
	if second == first || g.Master() != second || second.Role() != "master" {
		t.Errorf("after Failover: %v is a %s", second, second.Role())
	}
	// The old master becomes a replica, so that the next failover has two.
	first.AwaitSync(second)
	if got := second.Do("GET", "k"); got != "v" {
		t.Errorf("the new master has %v", got)
	}
	second.Kill()
	if third := g.AwaitFailover(second); third == second || third != g.Master() {
		t.Errorf("after Kill: %v", third)
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3, 1, WithPassword("data"))
	if len(c.Nodes()) != 6 || len(c.Masters()) != 3 {
		t.Fatalf("%d nodes, masters %v", len(c.Nodes()), c.Masters())
	}
	if want := "redis+cluster://:data@" + strings.Join(c.Addrs(), ","); c.URL() != want {
		t.Errorf("URL %s, want %s", c.URL(), want)
	}
	for _, key := range []string{"", "a", "sse:orders", "x{tag}y{other}", "x{}y", "x{open", "{tag}"} {
		if want := c.Nodes()[0].Do("CLUSTER", "KEYSLOT", key); want != int64(c.Slot(key)) {
			t.Errorf("Slot(%q) = %d, Redis says %v", key, c.Slot(key), want)
		}
	}
	c.XAdd("k", "a", "b")
	if n := c.NodeFor("k").Do("XLEN", "k"); n != int64(1) {
		t.Errorf("XLEN on the key's node: %v", n)
	}

	added := c.AddMaster()
	if len(c.Masters()) != 4 {
		t.Fatalf("masters after AddMaster: %v", c.Masters())
	}
	testMoveSlot(t, c, added)

	// An ordered failover, then the death of a master.
	owner := c.NodeFor("k")
	replicas := c.Replicas(owner)
	if len(replicas) != 1 {
		t.Fatalf("replicas of %s: %v", owner, replicas)
	}
	c.Failover(replicas[0])
	if c.NodeFor("k") != replicas[0] || slices.Contains(c.Masters(), owner) {
		t.Errorf("after Failover: %s has the key, masters %v", c.NodeFor("k"), c.Masters())
	}
	owner.AwaitSync(replicas[0])
	replicas[0].Kill()
	if now := c.AwaitFailover(c.Slot("k")); now != owner {
		t.Errorf("after Kill: %s has the key, want %s", now, owner)
	}
	replicas[0].Restart()
	c.AwaitHealthy()
	// It came back as a replica of the node that has taken over from it.
	replicas[0].AwaitSync(owner)
	if n := c.NodeFor("k").Do("XLEN", "k"); n != int64(1) {
		t.Errorf("XLEN after two failovers: %v", n)
	}
}

func testMoveSlot(t *testing.T, c *Cluster, to *Server) {
	t.Helper()
	slot := c.Slot("{moving}")
	from := c.Owner(slot)
	for i := range 150 {
		c.XAdd(fmt.Sprintf("{moving}%d", i), "a", "b")
	}
	c.BeginMoveSlot(slot, to)
	if n := c.MoveKeys(slot, "{moving}0"); n != 1 {
		t.Errorf("MoveKeys of one key moved %d", n)
	}
	if _, err := from.try("XLEN", "{moving}0"); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("ASK %d %s", slot, to)) {
		t.Errorf("a moved key at the old owner: %v", err)
	}
	if n, err := from.try("XLEN", "{moving}1"); err != nil || n != int64(1) {
		t.Errorf("a key that was not moved: %v, %v", n, err)
	}
	if c.Owner(slot) != from {
		t.Error("the slot has moved already")
	}
	if n := c.MoveKeys(slot); n != 149 {
		t.Errorf("MoveKeys moved %d keys, want 149", n)
	}
	c.FinishMoveSlot(slot)
	if c.NodeFor("{moving}") != to {
		t.Errorf("the slot is on %s, want %s", c.NodeFor("{moving}"), to)
	}
	if _, err := from.try("XLEN", "{moving}0"); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("MOVED %d %s", slot, to)) {
		t.Errorf("the old owner: %v", err)
	}
	c.MoveSlot(slot, from)
	if n := c.NodeFor("{moving}").Do("DBSIZE"); c.NodeFor("{moving}") != from || n.(int64) < 150 {
		t.Errorf("moved back to %s with %v keys", c.NodeFor("{moving}"), n)
	}
}

func TestClusterTLS(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 2, 0, WithTLS())
	c.XAdd("k", "a", "b")
	to := c.Masters()[0]
	if to == c.NodeFor("k") {
		to = c.Masters()[1]
	}
	c.MoveSlot(c.Slot("k"), to)
	if n := to.Do("XLEN", "k"); n != int64(1) || !strings.HasPrefix(c.URL(), "rediss+cluster://") {
		t.Errorf("%v entries; URL %s", n, c.URL())
	}
}

func TestSentinelTLS(t *testing.T) {
	t.Parallel()
	first := Start(t, WithTLS())
	g := StartSentinel(t, "m", first, 1)
	if second := g.Failover(); second == first || !strings.HasPrefix(g.URL(), "rediss+sentinel://") {
		t.Errorf("master %s, URL %s", second, g.URL())
	}
}
