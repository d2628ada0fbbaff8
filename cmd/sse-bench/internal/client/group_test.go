package client

import (
	"testing"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
)

func TestRequestsOfASubscriber(t *testing.T) {
	const head = " HTTP/1.1\r\nHost: 127.0.0.1:81\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n"
	for _, tt := range []struct {
		cfg    Config
		lastID string
		want   string
	}{
		{Config{Native: true, Targets: []string{"http://127.0.0.1:81/base/"}, Channels: 3, ChannelsEach: 2, ChannelName: "a:{n}"}, "",
			"GET /base/events?channel=a%3A0&channel=a%3A1" + head + "\r\n"},
		{Config{Targets: []string{"http://127.0.0.1:81/sub/{channel}?x=1"}, Channels: 1, ChannelsEach: 1, ChannelName: "a{n}", Headers: []string{"Authorization: Bearer x"}}, "1-0",
			"GET /sub/a0?x=1" + head + "Authorization: Bearer x\r\nLast-Event-ID: 1-0\r\n\r\n"},
		{Config{Targets: []string{"http://127.0.0.1:81/fixed"}, Channels: 1, ChannelsEach: 1}, "", "GET /fixed" + head + "\r\n"},
	} {
		targets, returns, err := tt.cfg.resolve()
		if err != nil {
			t.Fatal(err)
		}
		tt.cfg.Count = 1
		g := newGroup(&tt.cfg, targets, returns)
		g.subs[0].sse.Feed([]byte("id: "+tt.lastID+"\n\n"), &g.subs[0], &g.buffers)
		if got := string(g.subs[0].request(nil)); got != tt.want {
			t.Errorf("got\n%q, want\n%q", got, tt.want)
		}
	}
}

// Also those who come back to another address.
func TestAddressesAreSpread(t *testing.T) {
	for _, channels := range []int{1, 50, 1000} {
		cfg := &Config{Channels: channels, ChannelsEach: 1, Count: 1000}
		g := newGroup(cfg, make([]target, 4), make([]target, 4))
		var first, next [4]int
		for i := range g.subs {
			s := &g.subs[i]
			at := int(s.target) % 4
			first[at]++
			if at == 0 {
				s.away()
				next[int(s.target)%4]++
			}
		}
		for at, n := range first {
			if n < 240 || n > 260 {
				t.Errorf("%d channels: %v", channels, first)
			}
			if back := next[at]; at == 0 && back > 0 || at > 0 && (back < 70 || back > 100) {
				t.Errorf("%d channels: those of one address go to %v", channels, next)
			}
		}
	}
}

// A gap that comes when Redis has been asked already is not taken on trust.
func TestGapAfterTheQuestion(t *testing.T) {
	cfg := &Config{ChannelName: "c{n}", Channels: 1, ChannelsEach: 1, Count: 1}
	g := newGroup(cfg, make([]target, 1), nil)
	g.subs[0].was = true
	g.published = []int64{3}
	if asked := g.gapped(); len(asked) != 0 {
		t.Fatalf("gaps %v", asked)
	}
	g.subs[0].gap([]byte(`{"channel":"c0","after":"1-0","resumed":"2-0","reason":"reset"}`))
	if v := g.verdict(map[int]*integrity.Retained{}); v.Lost != 3 || v.Gapped != 0 {
		t.Errorf("lost %d, gapped %d", v.Lost, v.Gapped)
	}
	if v := g.verdict(nil); v.Lost != 0 || v.Gapped != 3 {
		t.Errorf("with no Redis to ask: lost %d, gapped %d", v.Lost, v.Gapped)
	}
}
