package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/sse"
)

// polled is a page as a client reads it.
type polled struct {
	Events []struct{ Channel, ID, Event, Data string }
	Gaps   []struct {
		Channel, Resumed, Reason string
		After                    *string
	}
	Ended    []string
	Position string
	More     *bool
}

func (p polled) data() (data []string) {
	for _, e := range p.Events {
		data = append(data, e.Data)
	}
	return data
}

// poll asks for a page.
func (r *rig) poll(query string, header ...string) polled {
	r.t.Helper()
	c := r.do(http11, r.request(query, append([]string{"Accept", "application/json"}, header...)...))
	return readPage(r.t, c)
}

func readPage(t testing.TB, c *client) (p polled) {
	t.Helper()
	text := c.body()
	h := c.resp.Header
	if c.resp.StatusCode != http.StatusOK || h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s %v %s", c.resp.Status, h, text)
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil || p.Events == nil || p.Gaps == nil || p.Ended == nil || p.More == nil {
		t.Fatalf("%v: %s", err, text)
	}
	return p
}

// TestPoll reads channels page by page, from every start, and gets each event once.
func TestPoll(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	ids := r.publishN("a", 20)
	r.redis.Do("XADD", "sse:b", "5-0", "event", "named", "k", "v\u2028")
	for query, want := range map[string][]string{
		"channel=a":                              nil,
		"channel=a&replay=all":                   numbered("a", 0, 20),
		"channel=a&replay=3":                     numbered("a", 17, 20),
		"channel=a&last_event_id=" + ids[15]:     numbered("a", 16, 20),
		"channel=a@0":                            numbered("a", 0, 20),
		"channel=a&since=1h":                     numbered("a", 0, 20),
		"channel=a&deliver=latest&lastEventId=0": {"a19"},
	} {
		for _, limit := range []int{1, 7, 20, 1000} {
			next, got, pages := query, []string(nil), 0
			for more := true; more; pages++ {
				p := r.poll(fmt.Sprint(next, "&limit=", limit))
				if more = *p.More; len(p.Events) > limit || len(p.Gaps)+len(p.Ended) > 0 {
					t.Fatalf("%s: %+v", next, p)
				}
				got = append(got, p.data()...)
				next = "channel=a&lastEventId=" + p.Position
			}
			if !slices.Equal(got, want) || pages != max(1, (len(want)+limit-1)/limit) {
				t.Errorf("%s, %d at a time: %q in %d pages, want %q", query, limit, got, pages, want)
			}
		}
	}
	p := r.poll("channel=b&channel=a&replay=1")
	if len(p.Events) != 2 || p.Events[1] != (struct{ Channel, ID, Event, Data string }{"b", "5-0", "named", `{"k":"v\u2028"}`}) ||
		p.Position != ids[19]+"~5-0~"+sse.Signature([]string{"a", "b"}) {
		t.Errorf("got %+v", p)
	}
	if p = r.poll("channel=b&channel=a", "Last-Event-ID", p.Position); len(p.Events) > 0 {
		t.Errorf("got %+v after the last", p)
	}
	r.await(0, "connections")
}

// TestPollGapsAndEnd tells what a stream would: gaps of each kind, and the end.
func TestPollGapsAndEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, small, func(s *setup) { s.store.MaxEventBytes = 1000 })
	ids := r.publishN("a", 20)
	r.redis.Do("XTRIM", "sse:a", "MAXLEN", 2)
	p := r.poll("channel=a&last_event_id=" + ids[2])
	if len(p.Gaps) != 1 || p.Gaps[0].Reason != "trimmed" || *p.Gaps[0].After != ids[2] || !slices.Equal(p.data(), numbered("a", 18, 20)) {
		t.Errorf("got %+v", p)
	}
	p = r.poll("channel=a&last_event_id=junk")
	if len(p.Gaps) != 1 || p.Gaps[0].Reason != "unknown_id" || p.Gaps[0].After != nil || p.Position != ids[19] {
		t.Errorf("got %+v", p)
	}
	large := r.publish("a", strings.Repeat("x", 1001))
	p = r.poll("channel=a&wait=30s&last_event_id=" + ids[19])
	if len(p.Gaps) != 1 || p.Gaps[0].Reason != "too_large" || p.Position != large {
		t.Errorf("got %+v", p)
	}
	if n := r.value("gaps_total"); n != 3 {
		t.Errorf("%v gaps are counted", n)
	}
	end := r.publishEnd("a", "data", "done")
	for p = r.poll("channel=a&wait=30s&last_event_id=" + large); len(p.Ended) == 0; {
		p = r.poll("channel=a&wait=30s&last_event_id=" + p.Position)
	}
	if p.Ended[0] != "a" || p.Position != end || *p.More {
		t.Errorf("got %+v", p)
	}
	// Nobody waits for what has ended.
	if p = r.poll("channel=a&wait=1m&last_event_id=" + end); len(p.Ended) != 1 || len(p.Events) > 0 {
		t.Errorf("got %+v", p)
	}
}

// TestPath serves streams at another path.
func TestPath(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/api/events", "/api/events/"} {
		r := newRig(t, func(s *setup) { s.gateway.Path = path })
		for at, want := range map[string]int{"/api/events": 200, "/api/events/": 200, "/events": 404, "/api/": 404, "/api/events/x": 404} {
			req := r.request("channel=a")
			req.URL.Path = at
			if c := r.do(http11, req); c.resp.StatusCode != want {
				t.Errorf("SSE_PATH=%s, %s: %s", path, at, c.resp.Status)
			}
		}
	}
}

// TestLongPoll waits for an event, and no longer than it is told.
func TestLongPoll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish("a", "before")
	if p := r.poll("channel=a&wait=50ms"); len(p.Events) > 0 {
		t.Errorf("got %+v", p)
	}
	for _, proto := range []string{http11, h2c} {
		answered := make(chan polled, 1)
		position := r.poll("channel=a&channel=b").Position
		go func() {
			answered <- readPage(t, r.do(proto, r.request("channel=a&channel=b&wait=1m&last_event_id="+position, "Accept", "application/json")))
		}()
		r.await(1, "connections")
		id := r.publish("b", "x")
		if p := <-answered; !slices.Equal(p.data(), []string{"x"}) || p.Events[0].ID != id {
			t.Errorf("%s: got %+v", proto, p)
		}
		r.await(0, "connections")
	}
}

// TestPollIsBounded counts polls among the connections, and lets none wait when the
// replica drains.
func TestPollIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *setup) { s.gateway.MaxConnections = 1 })
	answered := make(chan polled, 1)
	go func() {
		answered <- readPage(t, r.do(http11, r.request("channel=a&wait=1m", "Accept", "application/json")))
	}()
	r.await(1, "connections")
	c := r.do(http11, r.request("channel=a", "Accept", "application/json"))
	if checkProblem(t, c, http.StatusServiceUnavailable); c.resp.Header.Get("Retry-After") == "" {
		t.Error("a refusal that passes does not say when to come back")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r.g.Drain(ctx)
	if p := <-answered; p.Position != "0-0" {
		t.Errorf("got %+v", p)
	}
}
