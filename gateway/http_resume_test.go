package gateway

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// small keeps little in memory, so that most of the past is read from Redis.
func small(s *setup) { s.store.WindowEvents = 4 }

// publishN adds events n0, n1, … to a channel and returns their ids.
func (r *rig) publishN(channel string, n int) (ids []string) {
	r.t.Helper()
	for i := range n {
		ids = append(ids, r.publish(channel, fmt.Sprint(channel, i)))
	}
	return ids
}

// numbered returns the data of publishN's events.
func numbered(channel string, from, to int) (data []string) {
	for i := from; i < to; i++ {
		data = append(data, fmt.Sprint(channel, i))
	}
	return data
}

// nothingMore publishes to the channels and says that this, and nothing before
// it, is what the clients get next.
func (r *rig) nothingMore(clients []*client, channels ...string) {
	r.t.Helper()
	for _, channel := range channels {
		r.publish(channel, channel+" goes on")
		for _, c := range clients {
			c.expect(channel + " goes on")
		}
	}
	for _, c := range clients {
		c.nothingElse()
	}
}

func TestResumeOneChannel(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	ids := r.publishN("a", 20)
	var clients []*client
	for _, proto := range []string{http10, http11, h2c} {
		for _, at := range []int{0, 10, 18, 19} {
			for _, way := range []string{"header", "query"} {
				req := r.request("channel=a", "Last-Event-ID", ids[at])
				if way == "query" {
					req = r.request("channel=a&last_event_id=" + ids[at])
				}
				c := r.do(proto, req)
				if e := c.next(); e.Name != "gateway.ready" || e.ID != ids[at] || e.Data != `{"channels":{"a":"`+ids[at]+`"}}` {
					t.Errorf("%s, after %d by %s: %+v", proto, at, way, e)
				}
				c.expect(numbered("a", at+1, 20)...)
				clients = append(clients, c)
			}
		}
	}
	r.await(24, "resumes_total") // a stream may count after its first write
	if gaps := r.value("gaps_total"); gaps != 0 {
		t.Errorf("%v gaps", gaps)
	}
	// The header is what a browser comes back with; the URL is as old as the page.
	c := r.subscribe("channel=a&replay=all&since=0&last_event_id="+ids[3], "Last-Event-ID", ids[18])
	c.expect("a19")
	r.nothingMore(append(clients, c), "a")
}

// TestPositionsInTheURL resumes by what clients put into the URL: the parameter of
// event-source-polyfill, which keeps last_event_id and adds its own, positions of
// single channels, and ids as Redis takes them.
func TestPositionsInTheURL(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	ids := r.publishN("a", 20)
	other := r.publishN("b", 20)
	ms, _, _ := strings.Cut(ids[0], "-")
	afterMillisecond := numbered("a", 0, 20)
	if ids[0] == ms+"-0" {
		afterMillisecond = afterMillisecond[1:]
	}
	for query, want := range map[string][]string{
		"channel=a&last_event_id=" + ids[2] + "&lastEventId=" + ids[17]: numbered("a", 18, 20),
		"channel=a@" + ids[17]:                              numbered("a", 18, 20),
		"channel=a&lastEventId=0":                           numbered("a", 0, 20),
		"channel=a@0":                                       numbered("a", 0, 20),
		"channel=a@" + ms:                                   afterMillisecond,
		"channel=a&channel=b@" + other[17]:                  numbered("b", 18, 20),
		"channel=a@" + ids[17] + "&channel=b&replay=1":      append(numbered("a", 18, 20), "b19"),
		"channel=a&channel=b@" + other[18] + "&replay=0":    {"b19"},
		"channel=a@" + ids[5] + "&last_event_id=" + ids[18]: {"a19"},
	} {
		c := r.subscribe(query)
		got := make([]string, len(want))
		for i := range got {
			got[i] = c.next().Data
		}
		slices.Sort(got)
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
		c.nothingElse()
		c.stop()
	}
	if n := r.value("gaps_total"); n != 0 {
		t.Errorf("%v gaps", n)
	}
}

// TestChangingChannels has a page change its channels again and again while events
// flow: it opens a new stream with the positions that it has, and loses and
// repeats nothing.
func TestChangingChannels(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	const events, changes = 300, 12
	var publishing sync.WaitGroup
	for _, channel := range []string{"a", "b", "c"} {
		publishing.Go(func() {
			for i := range events {
				r.publish(channel, fmt.Sprint(channel, i))
			}
		})
	}
	got := map[string][]string{"a": nil, "b": nil, "c": nil}
	positions := map[string]string{"a": "0", "b": "0", "c": "0"}
	for i := 0; ; i++ {
		set := [][]string{{"a", "b"}, {"b", "c"}, {"a", "b", "c"}, {"c", "a"}}[i%4]
		if i >= changes {
			set = []string{"a", "b", "c"}
		}
		q := url.Values{"envelope": {"json"}}
		for _, channel := range set {
			q.Add("channel", channel+"@"+positions[channel])
		}
		c := r.subscribe(q.Encode())
		left := 0
		for _, channel := range set {
			left += events - len(got[channel])
		}
		if i < changes {
			left = min(left, 40)
		}
		for range left {
			var e struct{ Channel, ID, Data string }
			if err := json.Unmarshal([]byte(c.next().Data), &e); err != nil {
				t.Fatal(err)
			}
			got[e.Channel] = append(got[e.Channel], e.Data)
			positions[e.Channel] = e.ID
		}
		if c.stop(); i >= changes {
			break
		}
	}
	publishing.Wait()
	for channel, texts := range got {
		if want := numbered(channel, 0, events); !slices.Equal(texts, want) {
			t.Errorf("%s: %d events, want %d: %q", channel, len(texts), len(want), texts)
		}
	}
}

func TestResumeSeveralChannels(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	var ids [3][]string
	for i := range 20 {
		for j, channel := range []string{"a", "b", "c"} {
			ids[j] = append(ids[j], r.publish(channel, fmt.Sprint(channel, i)))
		}
	}
	names := sse.Signature([]string{"a", "b", "c"})
	position := ids[0][4] + "~" + ids[1][19] + "~" + ids[2][17] + "~" + names
	var clients []*client
	for _, proto := range []string{http11, h2c} {
		c := r.do(proto, r.request("channel=c&channel=a&channel=b", "Last-Event-ID", position))
		if e := c.next(); e.ID != position || e.Data != `{"channels":{"a":"`+ids[0][4]+`","b":"`+ids[1][19]+`","c":"`+ids[2][17]+`"}}` {
			t.Errorf("got %+v", e)
		}
		f := newFollower(t, position)
		for range 15 + 2 {
			f.take(c.next())
		}
		f.expectAll(map[string][]string{"a": numbered("a", 5, 20), "c": numbered("c", 18, 20)})
		clients = append(clients, c)
	}
	// A position of other channels is not one of these.
	for _, foreign := range []string{ids[0][4], "1-1~2-2~3-3~" + sse.Signature([]string{"a", "b", "d"}), "1-1~2-2~" + names} {
		c := r.do(http11, r.request("channel=a&channel=b&channel=c", "Last-Event-ID", foreign))
		now := ids[0][19] + "~" + ids[1][19] + "~" + ids[2][19] + "~" + names
		for j, channel := range []string{"a", "b", "c"} {
			// Whoever has the new position has heard of all gaps.
			want := ""
			if channel == "c" {
				want = now
			}
			if e := c.expectGap(channel, "", ids[j][19], "unknown_id"); e.ID != want {
				t.Errorf("the gap's id is %q, want %q", e.ID, want)
			}
		}
		if e := c.next(); e.Name != "gateway.ready" || e.ID != now {
			t.Errorf("after the gaps: %+v", e)
		}
		r.publish("b", "more")
		c.expect("more")
		c.nothingElse()
		ids[1][19] = strings.Split(c.last().ID, "~")[1]
	}
	for _, c := range clients { // that is all that came after
		c.expect("more", "more", "more")
		c.nothingElse()
	}
}

func TestUnknownIDs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ids := r.publishN("a", 3)
	var clients []*client
	for _, id := range []string{"junk", "$", "1-1-1", "ü", strings.Repeat("1", 20_000), ids[1] + "~" + ids[1] + "~abcdef"} {
		c := r.do(http11, r.request("channel=a&replay=all", "Last-Event-ID", id))
		if e := c.expectGap("a", "", ids[2], "unknown_id"); e.ID != ids[2] {
			t.Errorf("the gap's id is %s", e.ID)
		}
		if e := c.next(); e.Name != "gateway.ready" || e.ID != ids[2] {
			t.Errorf("after the gap: %+v", e)
		}
		clients = append(clients, c)
	}
	if n := r.value("gaps_total", "unknown_id"); n != 6 {
		t.Errorf("%v gaps are counted", n)
	}
	c := r.do(http11, r.request("channel=a&last_event_id=junk"))
	c.expectGap("a", "", ids[2], "unknown_id")
	c.next()
	r.nothingMore(append(clients, c), "a")
}

func TestBeyondTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ids := r.publishN("a", 3)
	for _, id := range []string{"9999999999999-0", "18446744073709551615-18446744073709551615"} {
		c := r.subscribe("channel=a", "Last-Event-ID", id)
		if e := c.expectGap("a", id, ids[2], "reset"); e.ID != ids[2] {
			t.Errorf("the gap's id is %s", e.ID)
		}
		ids[2] = r.publish("a", "more")
		c.expect("more")
		c.nothingElse()
	}
	// The stream was deleted while the client was away.
	r.redis.Do("DEL", key("b"))
	c := r.subscribe("channel=b", "Last-Event-ID", "5-5")
	if e := c.expectGap("b", "5-5", "0-0", "reset"); e.ID != "0-0" {
		t.Errorf("the gap's id is %s", e.ID)
	}
	r.await(3, "resumes_total", "gap history")
}

func TestTrimmed(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	var ids []string
	for i := range 20 { // of one moment, so that nothing can have been between two of them
		ids = append(ids, fmt.Sprint("1000-", i+1))
		r.redis.Do("XADD", key("a"), ids[i], "data", fmt.Sprint("a", i))
	}
	r.redis.Do("XTRIM", key("a"), "MAXLEN", 5)
	c := r.subscribe("channel=a", "Last-Event-ID", ids[2])
	resumed := before(t, ids[15])
	if e := c.expectGap("a", ids[2], resumed, "trimmed"); e.ID != resumed {
		t.Errorf("the gap's id is %s", e.ID)
	}
	c.expect(numbered("a", 15, 20)...)
	whole := r.subscribe("channel=a", "Last-Event-ID", ids[14]) // the first one that is gone
	whole.expect(numbered("a", 15, 20)...)
	// On two channels the gap is one of its channel.
	d := r.publishN("d", 1)
	names := sse.Signature([]string{"a", "d"})
	two := r.subscribe("channel=a&channel=d", "Last-Event-ID", ids[0]+"~"+d[0]+"~"+names)
	if e := two.expectGap("a", ids[0], resumed, "trimmed"); e.ID != resumed+"~"+d[0]+"~"+names {
		t.Errorf("the gap's id is %s", e.ID)
	}
	two.expect(numbered("a", 15, 20)...)
	r.nothingMore([]*client{two}, "d")
	r.nothingMore([]*client{c, whole, two}, "a")
}

func TestReplayAndSince(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	start := time.Now()
	ids := r.publishN("a", 10)
	// What has the time of now is since now, too.
	redistest.Eventually(t, patience, "the next millisecond", func() bool { return fmt.Sprint(time.Now().UnixMilli(), "-") > ids[9] })
	var ofA, ofB []*client
	for query, from := range map[string]int{
		"replay=3": 7, "replay=0": 10, "replay=10": 0, "replay=1000": 0, "replay=2147483647": 0, "replay=all": 0,
		"since=0": 0, "since=1h": 0, "since=0s": 10, "since=2100-01-01T00:00:00Z": 10, "since=9223372036854775807": 10,
		"since=0001-01-01T00:00:00Z": 0, "since=" + fmt.Sprint(start.Add(-time.Second).UnixMilli()): 0,
		"since=" + start.Add(-time.Minute).UTC().Format(time.RFC3339): 0,
		"replay=1&since=0": 0, "replay=all&last_event_id=" + ids[8]: 9,
	} {
		c := r.subscribe("channel=a&" + query)
		if c.expect(numbered("a", from, 10)...); from < 10 && c.last().ID != ids[9] {
			t.Errorf("%s: the last is %+v", query, c.last())
		}
		ofA = append(ofA, c)
	}
	r.redis.Do("XADD", key("b"), "1000-1", "data", "b0")
	r.redis.Do("XADD", key("b"), "2000-0", "data", "b1")
	r.redis.Do("XADD", key("b"), "2000-1", "data", "b2")
	for query, from := range map[string]int{"since=1000": 0, "since=1001": 1, "since=2000": 1, "since=2001": 3, "since=1970-01-01T00:00:02Z": 1} {
		c := r.subscribe("channel=b&" + query)
		c.expect(numbered("b", from, 3)...)
		ofB = append(ofB, c)
	}
	// Several channels: the last N of each.
	c := r.subscribe("channel=a&channel=b&replay=2")
	f := newFollower(t, c.last().ID)
	for range 4 {
		f.take(c.next())
	}
	f.expectAll(map[string][]string{"a": numbered("a", 8, 10), "b": numbered("b", 1, 3)})
	r.nothingMore(append(ofA, c), "a")
	r.nothingMore(append(ofB, c), "b")
}
