package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestEntryIDs(t *testing.T) {
	if id, ok := parseEntryID("18446744073709551615-3"); !ok || id != (entryID{1<<64 - 1, 3}) {
		t.Errorf("%+v %v", id, ok)
	}
	for _, bad := range []string{"", "1", "-", "1-", "-1", "1-x", "1-2-3", "18446744073709551616-0", "+1-0"} {
		if id, ok := parseEntryID(bad); ok {
			t.Errorf("%q is taken for %+v", bad, id)
		}
	}
}

func TestIDLog(t *testing.T) {
	log := idLog{{entryID{10, 0}, 1}, {entryID{10, 1}, 2}, {entryID{20, 0}, 3}, {entryID{30, 5}, 6}}
	tests := []struct {
		at        string
		published int64
		want      int64
		ok        bool
	}{
		{"0-0", 6, 0, true},
		{"9-9", 6, 0, true},
		{"10-0", 6, 1, true},
		{"10-1", 6, 2, true},
		{"19-0", 6, 2, true},
		{"20-0", 6, 3, false}, // 4 and 5 got ids that nobody knows
		{"30-4", 6, 3, false},
		{"30-5", 6, 6, true},
		{"99-0", 6, 6, true},
		{"99-0", 7, 6, false},
	}
	for _, tt := range tests {
		id, _ := parseEntryID(tt.at)
		if n, ok := log.upTo(id, tt.published); n != tt.want && tt.ok || ok != tt.ok {
			t.Errorf("up to %s of %d: %d %v, want %d %v", tt.at, tt.published, n, ok, tt.want, tt.ok)
		}
	}
	for _, tt := range []struct {
		at   string
		want place
	}{{"0-0", place{0, 0}}, {"10-1", place{2, 2}}, {"20-0", place{3, 5}}, {"30-5", place{6, 7}}} {
		id, _ := parseEntryID(tt.at)
		if got := log.place(id, 7); got != tt.want {
			t.Errorf("the place of %s: %+v, want %+v", tt.at, got, tt.want)
		}
	}
	// After a failover to an older copy, whose clock is behind as well.
	if got := slices.Clone(log).add(noted{entryID{20, 0}, 7}); !slices.Equal(got, idLog{log[0], log[1], {entryID{20, 0}, 7}}) {
		t.Errorf("after a reset: %v", got)
	}
	if n, ok := idLog(nil).upTo(entryID{}, 0); n != 0 || !ok {
		t.Errorf("nothing published: %d %v", n, ok)
	}
	if _, ok := idLog(nil).upTo(entryID{}, 1); ok {
		t.Error("no id is known, and yet it tells")
	}
}

func TestSplitPosition(t *testing.T) {
	tests := []struct {
		position string
		names    []string
		want     []string
	}{
		{"7-1", []string{"a"}, []string{"7-1"}},
		{"1700000000250-0~1700000000900-3~ed1e7b", []string{"orders", "alerts"}, []string{"1700000000900-3", "1700000000250-0"}},
		{"1-0~2-0~abcdef", []string{"bench:10", "bench:9"}, []string{"1-0", "2-0"}},
		{"7-1", []string{"a", "b"}, nil},
		{"1-0~2-0~abcdef", []string{"a"}, nil},
		{"", []string{"a", "b"}, nil},
	}
	for _, tt := range tests {
		if got := splitPosition(tt.position, tt.names); !slices.Equal(got, tt.want) {
			t.Errorf("%s of %v: %v, want %v", tt.position, tt.names, got, tt.want)
		}
	}
}

// joinArgs let subscribers come while 100 events are published per channel.
func joinArgs(r *redistest.Server, gateways string, more ...string) []string {
	return small(r, gateways, append([]string{"-join", "400ms", "-duration", "1s", "-settle", "60s"}, more...)...)
}

// joinEvents is how many events joinArgs publish on each channel.
const joinEvents = 100

// Subscribers that come late are owed every event after their position, and
// none before, however late they notice that they are ready: here each stream's
// position is fixed 20 events before the subscriber hears of it.
func TestJoin(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	notice := func(ctx context.Context, c *redis.Client, key string) {
		from, err := c.XLen(ctx, key).Result()
		for n := from; err == nil && n < min(from+20, joinEvents); {
			n, err = c.XLen(ctx, key).Result()
		}
	}
	for name, args := range map[string][]string{"one process": nil, "two processes": {"-processes", "2"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testJoin(t, r, notice, args)
		})
	}
}

func testJoin(t *testing.T, r *redistest.Server, notice func(context.Context, *redis.Client, string), args []string) {
	t.Helper()
	var sent, dropped, hurt atomic.Int64
	var drop, early atomic.Bool
	f := startFake(t, r, func(f *fakeServer) {
		f.late = notice
		f.mangle = func(conn int64, n int, frame string) []string {
			if drop.Load() && n <= 30 {
				dropped.Add(1)
				if n == 1 {
					hurt.Add(1)
				}
				return []string{}
			}
			sent.Add(1)
			return []string{frame}
		}
		f.before = func() bool { return early.Load() }
	})
	t.Run("whole", func(t *testing.T) {
		code, rep := bench1(t, joinArgs(r, f.URL, args...)...)
		if code != exitOK || rep.Deliver.Events == 0 || rep.Deliver.Events != sent.Load() || rep.Deliver.Events >= 12*joinEvents {
			t.Errorf("exit %d, %d sent, %+v, %+v", code, sent.Load(), rep.Deliver, rep.Integrity)
		}
	})
	t.Run("dropped", func(t *testing.T) {
		drop.Store(true)
		defer drop.Store(false)
		code, rep := bench1(t, joinArgs(r, f.URL, args...)...)
		i := &rep.Integrity
		if code != exitFail || dropped.Load() == 0 || i.Lost != dropped.Load() || i.Affected != hurt.Load() || i.Repeated != 0 || i.OutOfOrder != 0 {
			t.Errorf("exit %d, dropped %d of %d subscribers, %+v", code, dropped.Load(), hurt.Load(), i)
		}
	})
	t.Run("early", func(t *testing.T) {
		early.Store(true)
		code, rep := bench1(t, joinArgs(r, f.URL, args...)...)
		i := &rep.Integrity
		if n := f.earlier.Load(); code != exitFail || n == 0 || i.Repeated != n || i.Affected != n || i.Lost != 0 || i.OutOfOrder != 0 {
			t.Errorf("exit %d, %d events sent early, %+v", code, n, i)
		}
	})
}

// The gateway's own words for where a stream starts, of one channel and of two.
func TestJoinGateway(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	s := newStage(t)
	s.startReplicas(1, r.URL())
	for _, each := range []string{"1", "2"} {
		code, rep := bench1(t, joinArgs(r, s.urls(), "-channels-each", each)...)
		if i := &rep.Integrity; code != exitOK || !i.Checked || rep.Deliver.Events == 0 {
			t.Errorf("%s: exit %d, %+v, %+v", each, code, rep.Deliver, i)
		}
	}
}

// A group's places go to the publisher and back, as to a worker process.
func TestPositionsTravel(t *testing.T) {
	cfg := &workerConfig{Native: true, ChannelName: "c{n}", Channels: 3, ChannelsEach: 2, Join: 1}
	g := newGroup(cfg, nil, nil, 0, 2)
	ready := "id: 5-0~9-0~abcdef\nevent: gateway.ready\ndata: {}\n\n"
	for i := range g.subs {
		s := &g.subs[i]
		s.phase = phaseHead
		s.feed([]byte("HTTP/1.1 "+strconv.Itoa(http.StatusOK)+" OK\r\nContent-Type: text/event-stream\r\n\r\n"+ready), 1_000)
	}
	// Subscriber 0 has the channels 0 and 1, subscriber 1 the channels 2 and 0.
	places := positions{}
	places.merge(g.positions())
	p := newPublisher(nil, 3, 1, make([]int64, 3))
	p.ids = make([]idLog, 3)
	for ch := range 3 {
		for seq := range int64(4) {
			id := strconv.FormatInt(4+2*seq, 10) + "-0" // 4, 6, 8, 10
			if ch == 1 && seq == 3 {
				id = "" // the reply was lost
			}
			p.accepted(payload{channel: ch, seq: seq + 1}, id)
		}
	}
	p.resolve(places)
	text, err := json.Marshal(places)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"0":{"5-0":1},"1":{},"2":{"9-0":3}}`; string(text) != want {
		t.Errorf("places %s, want %s", text, want)
	}
	var back positions
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	g.expect(p.published(), back, schedule{Start: 0, Rate: 3e9, Channels: 3})
	// By the clock all four of channel 1 were before.
	for i, want := range [][2]int64{{1, 4}, {3, 1}} {
		for c := range want {
			if s := &g.subs[i].channels[c]; s.base != want[c] || s.exact == (i == 0 && c == 1) {
				t.Errorf("subscriber %d, channel %d: %+v", i, c, s)
			}
		}
	}
}
