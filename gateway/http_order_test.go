package gateway

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/gateway/sse/ssetest"
)

// follower reads the events of several channels as a client does that knows
// nothing but the ids: the part of an id that changed tells the channel.
type follower struct {
	t        testing.TB
	position []string
	data     map[string][]string // by the first letter of the data: the channel
}

func newFollower(t testing.TB, id string) *follower {
	return &follower{t: t, position: strings.Split(id, "~"), data: map[string][]string{}}
}

// take adds an event: its id is the position before it, but for one channel.
func (f *follower) take(e ssetest.Event) {
	f.t.Helper()
	parts := strings.Split(e.ID, "~")
	changed := 0
	for i := range parts {
		if i >= len(f.position) || parts[i] != f.position[i] {
			changed++
		}
	}
	if changed != 1 || len(parts) != len(f.position) || e.Name != "message" {
		f.t.Fatalf("after %q came %+v", f.position, e)
	}
	f.position = parts
	f.data[e.Data[:1]] = append(f.data[e.Data[:1]], e.Data)
}

func (f *follower) expectAll(want map[string][]string) {
	f.t.Helper()
	for channel, data := range want {
		if !slices.Equal(f.data[channel], data) {
			f.t.Errorf("channel %s: got %q, want %q", channel, f.data[channel], data)
		}
	}
	if len(f.data) != len(want) {
		f.t.Errorf("got %q, want %q", f.data, want)
	}
}

func TestTwoClients(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, second := r.subscribe("channel=a"), r.subscribe("channel=a&channel=b")
	third := r.do(h2c, r.request("channel=a"))
	third.next()
	r.publishN("a", 50)
	for _, c := range []*client{first, second, third} {
		c.expect(numbered("a", 0, 50)...)
	}
	first.stop()
	r.publish("a", "more")
	second.expect("more")
	third.expect("more")
	second.nothingElse()
	third.nothingElse()
}

// Clients of several channels that are written all the time lose their
// connections at random and come back at the position they were: they get
// everything once, in the order of each channel.
func TestResumeWhileItIsWritten(t *testing.T) {
	t.Parallel()
	const events = 400
	r := newRig(t, small)
	channels := []string{"a", "b", "c"}
	want := map[string][]string{}
	for _, channel := range channels {
		want[channel] = numbered(channel, 0, events)
	}
	query := "channel=a&channel=b&channel=c"
	start := "0-0~0-0~0-0~" + sse.Signature(channels)
	var writers sync.WaitGroup
	for _, channel := range channels {
		writers.Go(func() {
			for i := range events {
				if err := r.redis.Client().Do(t.Context(), "XADD", key(channel), "*", "data", fmt.Sprint(channel, i)).Err(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for n, proto := range []string{http11, h2c, http10} {
		q := query
		if n == 2 {
			q += "&last_event_id=" + start
		}
		f := newFollower(t, start)
		for got := 0; got < len(channels)*events; {
			c := r.do(proto, r.request(q, "Last-Event-ID", strings.Join(f.position, "~")))
			if e := c.next(); e.Name != "gateway.ready" || e.ID != strings.Join(f.position, "~") {
				t.Fatalf("got %+v", e)
			}
			for range min(1+rand.IntN(150), len(channels)*events-got) {
				f.take(c.next())
				got++
			}
			c.stop()
		}
		f.expectAll(want)
	}
	writers.Wait()
	if gaps := r.value("gaps_total"); gaps != 0 {
		t.Errorf("%v gaps", gaps)
	}
}

// A burst is larger than one write, and nothing comes after it that would wake
// the clients once more.
func TestBurst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	clients := []*client{r.subscribe("channel=a"), r.subscribe("channel=a"), r.subscribe("channel=a&channel=b"), r.do(h2c, r.request("channel=a"))}
	clients[3].next()
	pipe := r.redis.Client().TxPipeline()
	var want []string
	for i := range 200 {
		want = append(want, strings.Repeat(fmt.Sprint(i%10), 5000))
		pipe.Do(t.Context(), "XADD", key("a"), "*", "data", want[i])
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		c.expect(want...)
	}
	large := strings.Repeat("x", 1_000_000)
	r.publish("a", large)
	for _, c := range clients {
		c.expect(large)
		c.nothingElse()
	}
	r.await(800+4, "deliveries_total")
}
