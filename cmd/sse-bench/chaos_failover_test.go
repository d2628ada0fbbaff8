package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// When Redis itself loses writes that were delivered already, by a failover to a
// replica that is behind, then exactly the subscribers of the channels concerned
// are told (reset), each once, and everything after it arrives on all channels:
// nothing that was accepted is missing, for what the failover lost had been
// delivered before.
func TestChaosFailoverLoss(t *testing.T) {
	t.Parallel()
	const channels, each, publishers = 12, 5, 4 // as many as sse-bench has (redisPublishers)
	s := newStage(t)
	master := redistest.Start(t, redistest.WithUser("publisher on >secret ~* &* +@all"))
	g := redistest.StartSentinel(t, "mymaster", master, 1)
	replica := g.Servers()[1]
	s.startReplicas(2, g.URL())
	l := s.startLoad("--gateway", s.urls(), "--redis", strings.Replace(g.URL(), "://", "://publisher:secret@", 1),
		"--channel", "chaos:{n}", "--subscribers", strconv.Itoa(channels*each), "--channels", strconv.Itoa(channels),
		"--rate", "120", "--settle", "60s")
	l.awaitConnected(channels * each)
	f := &failover{stage: s, load: l, master: master, replica: replica}
	for i := range channels {
		key := fmt.Sprintf("sse:chaos:%d", i)
		f.all = append(f.all, key)
		// A channel that may not be written holds up the others of its sender,
		// so those concerned are all of one.
		if i%publishers == 0 {
			f.concerned = append(f.concerned, key)
		}
	}
	f.awaitEvents(master, f.all, 20)

	f.loseWrites()
	s.do("kill -9 the master, failover", func() error {
		// A sentinel promotes no replica whose link to the master has been down for
		// more than ten times this, and the link has been down since replication ended.
		for _, sentinel := range g.Nodes() {
			sentinel.Do("SENTINEL", "SET", "mymaster", "down-after-milliseconds", "6000")
		}
		master.Kill()
		if promoted := g.AwaitFailover(master); promoted != replica {
			return fmt.Errorf("%s was promoted", promoted)
		}
		return nil
	})
	f.awaitEvents(replica, f.all, 20)

	code, report := l.finish()
	l.requireIntact(code, report)
	want := map[string]map[string]int64{}
	for _, key := range f.concerned {
		want[strings.TrimPrefix(key, "sse:")] = map[string]int64{"reset": each}
	}
	if want := report.Publish.Events * each; report.Deliver.Events != want || report.Integrity.Gapped != 0 {
		t.Errorf("%d deliveries, want %d; %d events behind gaps", report.Deliver.Events, want, report.Integrity.Gapped)
	}
	if got := report.Integrity.GapChannels; !maps.EqualFunc(got, want, maps.Equal[map[string]int64]) {
		t.Errorf("gaps %v, want %v", got, want)
	}
}

// failover is a failover that loses writes of some channels.
type failover struct {
	*stage
	load            *underLoad
	master, replica *redistest.Server
	all, concerned  []string // stream keys
}

// loseWrites brings about that the master has events which its replica has not,
// on the channels concerned only, and that every subscriber has them.
func (f *failover) loseWrites() {
	f.t.Helper()
	f.mayWrite()
	f.replica.AwaitSync(f.master)
	f.note("replication ends")
	f.replica.Do("CONFIG", "SET", "masterauth", "not the password")
	f.master.Do("CLIENT", "KILL", "TYPE", "replica")
	before := f.lengths(f.master, f.concerned)
	f.mayWrite(f.concerned...)
	f.load.await("events that the replica does not have", func() bool {
		for i, n := range f.lengths(f.master, f.concerned) {
			if n < before[i]+10 {
				return false
			}
		}
		return true
	})
	f.mayWrite()
	has, had := f.lengths(f.replica, f.all), f.lengths(f.master, f.all)
	for i, key := range f.all {
		if slices.Contains(f.concerned, key) != (has[i] < had[i]) {
			f.t.Fatalf("%s: the replica has %d events, the master %d", key, has[i], had[i])
		}
	}
	// What only Redis knew of when it lost it, nobody can tell of.
	f.load.await("the gateways have every event", f.gatewaysUpToDate)
	f.load.awaitDelivered()
}

// mayWrite lets the publisher write these streams and no others. Its events wait
// for their turn.
func (f *failover) mayWrite(keys ...string) {
	f.t.Helper()
	f.note("the publisher may write %v", keys)
	args := []any{"ACL", "SETUSER", "publisher", "resetkeys", "%R~*"}
	for _, k := range keys {
		args = append(args, "~"+k)
	}
	f.master.Do(args...)
}

// lengths are the lengths of streams.
func (f *failover) lengths(r *redistest.Server, keys []string) []int64 {
	f.t.Helper()
	var out []int64
	for _, k := range keys {
		n, ok := r.Do("XLEN", k).(int64)
		if !ok {
			f.t.Fatalf("XLEN %s is not a number", k)
		}
		out = append(out, n)
	}
	return out
}

// awaitEvents waits until so many more events are in each of the streams.
func (f *failover) awaitEvents(r *redistest.Server, keys []string, more int64) {
	f.t.Helper()
	before := f.lengths(r, keys)
	f.load.await("events on all channels", func() bool {
		for i, n := range f.lengths(r, keys) {
			if n < before[i]+more {
				return false
			}
		}
		return true
	})
}

// gatewaysUpToDate reports whether the newest event that the gateways know of is
// the newest that the master has.
func (f *failover) gatewaysUpToDate() bool {
	var channels []string
	want := map[string]string{}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, key := range f.all {
		info, err := f.master.Client().XInfoStream(ctx, key).Result()
		if err != nil {
			f.t.Fatalf("XINFO STREAM %s: %v", key, err)
		}
		channel := strings.TrimPrefix(key, "sse:")
		channels, want[channel] = append(channels, channel), info.LastGeneratedID
	}
	for _, r := range f.replicas {
		if got, err := r.positions(channels); err != nil || !maps.Equal(got, want) {
			return false
		}
	}
	return true
}
