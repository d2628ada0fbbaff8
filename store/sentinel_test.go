package store

import (
	"fmt"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestSentinelFailover fails over under load, each time after the replica has
// everything: nothing may be lost, and nobody may be told of a gap.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	testSentinelFailover(t, sentinelPrivilege, nil)
}

func testSentinelFailover(t *testing.T, privilege string, change func(*Config)) {
	first := redistest.Start(t, redistest.WithTLS(), redistest.WithUser("default off"), redistest.WithUser("gateway on >pass "+privilege))
	g := redistest.StartSentinel(t, "m", first, 1)
	url := sentinelURL(g, first)
	s := openHealthy(t, url, change)
	r, quiet := s.subscribe(t, "a"), s.subscribe(t, "quiet")
	quiet.awaitID(first.XAdd("sse:quiet", "data", "x"))
	p := startPour(first, "a")
	r.await("some events", func() bool { return len(r.got) > 50 })
	p.stop()
	g.Servers()[1].AwaitSync(first)
	second := g.Failover()
	p2 := startPour(second, "a")
	n := len(r.got)
	r.await("events of the new master", func() bool { return len(r.got) > n+50 })
	p2.ledger.mu.Lock()
	for id, data := range p.ledger.entries {
		p2.ledger.entries[id] = data
	}
	p2.ledger.mu.Unlock()
	p2.judge(t, second, r, ID{})
	quiet.awaitID(second.XAdd("sse:quiet", "data", "y"))
	if len(quiet.got) != 2 {
		t.Errorf("the quiet channel got %v", quiet.got)
	}
	// History, too, is the new master's.
	if r.at(ID{}).drain(); len(r.got) < n {
		t.Errorf("history: %d events", len(r.got))
	}
	s.awaitHealth(t, true)
	if s.sweepFinds() != 0 {
		t.Errorf("%d finds of the sweep", s.sweepFinds())
	}
}

// sentinelURL is the group's URL for the gateway's user.
func sentinelURL(g *redistest.Sentinel, master *redistest.Server) string {
	addrs := ""
	for i, a := range g.Addrs() {
		if i > 0 {
			addrs += ","
		}
		addrs += a
	}
	return fmt.Sprintf("rediss+sentinel://gateway:pass@%s/0?master=m&ca=%s&cert=%s&key=%s", addrs, master.CAFile, master.CertFile, master.KeyFile)
}

// TestFailoverLosesEntries fails over to a replica that had been cut off: the
// channels that have lost entries get a gap, and only they; the new master's
// entries come, whether their ids are before or after those that were lost.
func TestFailoverLosesEntries(t *testing.T) {
	t.Parallel()
	testFailoverLosesEntries(t, nil)
}

func testFailoverLosesEntries(t *testing.T, change func(*Config)) {
	first := redistest.Start(t)
	g := redistest.StartSentinel(t, "m", first, 1)
	replica := g.Servers()[1]
	s := openHealthy(t, g.URL(), change)
	lost, lower, kept, gone := s.subscribe(t, "lost"), s.subscribe(t, "lower"), s.subscribe(t, "kept"), s.subscribe(t, "gone")
	all := []*reader{lost, lower, kept}
	for i, r := range all {
		for j := range 3 {
			first.Do("XADD", "sse:"+r.sub.Channel(), fmt.Sprintf("%d-0", 10+j), "data", i)
		}
		r.awaitID("12-0")
		r.got = nil
	}
	replica.AwaitSync(first)
	// Frozen and cut off, the replica hears nothing of what follows; and before
	// it thaws, the master is gone.
	replica.Pause()
	first.Do("CLIENT", "KILL", "TYPE", "replica")
	for _, r := range []*reader{lost, lower, gone} {
		first.Do("XADD", "sse:"+r.sub.Channel(), "20-0", "data", "lost")
		r.awaitID("20-0")
		r.got = nil
	}
	first.Kill()
	replica.Resume()
	second := g.AwaitFailover(first)
	if second != replica {
		t.Fatal("another master than the replica")
	}
	if n := second.Do("XLEN", "sse:lost"); n != int64(3) {
		t.Fatalf("the replica has %v entries: not the fault that was meant", n)
	}
	second.Do("XADD", "sse:lost", "30-0", "data", "x")
	second.Do("XADD", "sse:lower", "15-0", "data", "x")
	second.Do("XADD", "sse:kept", "30-0", "data", "x")
	second.Do("XADD", "sse:gone", "5-0", "data", "x")
	for _, c := range []struct {
		r    *reader
		id   string
		want []string
	}{
		{lost, "30-0", []string{"gap(20-0,12-0 reset)", "30-0 x"}},
		{lower, "15-0", []string{"gap(20-0,12-0 reset)", "15-0 x"}},
		{kept, "30-0", []string{"30-0 x"}},
		{gone, "5-0", []string{"gap(20-0,0-0 reset)", "5-0 x"}},
	} {
		c.r.awaitID(c.id)
		if got := c.r.texts(); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %v, want %v", c.r.sub.Channel(), got, c.want)
		}
	}
	if s.sweepFinds() != 0 {
		t.Errorf("%d finds of the sweep", s.sweepFinds())
	}
}
