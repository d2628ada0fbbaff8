package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// requireEnds takes the ends of channels, in any order, with nothing between them, and
// then the end of the response.
func (c *client) requireEnds(t *testing.T, channels ...string) {
	t.Helper()
	var got []string
	for range channels {
		e := c.next(t)
		if e.name != "gateway.end" {
			t.Fatalf("got %+v, want the end of a channel", e)
		}
		got = append(got, e.data)
	}
	slices.Sort(got)
	for i, channel := range channels {
		if want := fmt.Sprintf(`{"channel":%q}`, channel); got[i] != want {
			t.Errorf("got %q, want the end of %s", got, channel)
		}
	}
	c.awaitEnd(t, patience)
	if e, ok := <-c.events; ok {
		t.Errorf("after the end: %+v", e)
	}
	if c.endErr != io.EOF {
		t.Errorf("the response of channels that have ended ends with %v", c.endErr)
	}
}

// The gateway is killed between the last event and the end, which is an error to its
// clients. Who comes back to the next one gets the end, and nothing twice; who asks then
// gets 204. Compressed streams do the same.
func TestEndAfterKill(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	env := gatewayEnv(r.URL(), "SSE_COMPRESSION=gzip")
	p := startGateway(t, env...)
	p.awaitReady()
	type subscriber struct {
		name, query, coding string
		version             int
		channels            []string
		*client
	}
	var all []*subscriber
	for i, coding := range []string{"identity", "gzip", "identity", "gzip"} {
		version := 1 + i/2
		for name, of := range map[string]struct {
			query    string
			channels []string
		}{
			"one channel":      {"channel=a", []string{"a"}},
			"several":          {"channel=a&channel=b", []string{"a", "b"}},
			"envelope":         {"channel=a&channel=b&envelope=json", []string{"a", "b"}},
			"replay":           {"channel=a&replay=all", []string{"a"}},
			"only the newest":  {"channel=a&deliver=latest", []string{"a"}},
			"its own position": {"channel=a@0", []string{"a"}},
		} {
			s := &subscriber{name: fmt.Sprintf("%s, HTTP/%d, %s", name, version, coding), query: of.query, coding: coding, version: version, channels: of.channels}
			s.client = subscribeCoded(t, coding, transport(t, version, nil), p.eventsURL(s.query)).ready(t)
			all = append(all, s)
		}
	}
	status, page := fetch(t, p.eventsURL("channel=a&replay=all"), http.Header{"Accept": {"application/json"}})
	if status != http.StatusOK || !strings.Contains(page, `"position":"0-0"`) {
		t.Errorf("a page of nothing: %d %s", status, page)
	}
	last := r.XAdd("sse:a", "data", "the last")
	for _, s := range all {
		if e := s.next(t); !strings.Contains(e.data, "the last") {
			t.Fatalf("%s: got %+v", s.name, e)
		}
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
	for _, s := range all {
		if s.awaitEnd(t, patience); s.endErr == io.EOF {
			t.Errorf("%s: a kill looks like an orderly end", s.name)
		}
	}
	r.XAdd("sse:a", "gateway.end", "1")
	r.XAdd("sse:b", "gateway.end", "1")
	next := startGateway(t, env...)
	next.awaitReady()
	for _, s := range all {
		tr := transport(t, s.version, nil)
		back := subscribeCoded(t, s.coding, tr, next.eventsURL(s.query), "Last-Event-ID", s.position()).ready(t)
		back.requireEnds(t, s.channels...)
		if again := subscribe(t, tr, next.eventsURL(s.query), "Last-Event-ID", back.position()); again.status != http.StatusNoContent {
			t.Errorf("%s: status %d after the end", s.name, again.status)
		}
	}
	_, page = fetch(t, next.eventsURL("channel=a&last_event_id="+last), http.Header{"Accept": {"application/json"}})
	if !strings.Contains(page, `"events":[]`) || !strings.Contains(page, `"ended":["a"]`) {
		t.Errorf("a poll after the last event: %s", page)
	}
}

// A channel that expires after its end is no gap, and stays ended for its replica: the
// other channel of the connection goes on, and the response ends with it.
func TestExpireAfterEnd(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL(), "SSE_SWEEP_INTERVAL=1s")...)
	p.awaitReady()
	for _, version := range []int{1, 2} {
		a, b := fmt.Sprint("a", version), fmt.Sprint("b", version)
		tr := transport(t, version, nil)
		query := "channel=" + a + "&channel=" + b
		c := subscribe(t, tr, p.eventsURL(query)).ready(t)
		r.XAdd("sse:"+a, "data", "answer")
		c.requireData(t, "answer")
		r.XAdd("sse:"+a, "data", "done", "gateway.end", "1")
		c.requireData(t, "done")
		if e := c.next(t); e.name != "gateway.end" {
			t.Fatalf("got %+v, want the end of %s", e, a)
		}
		alone := subscribe(t, tr, p.eventsURL("channel="+a+"&replay=all")).ready(t)
		alone.requireData(t, "answer")
		alone.requireData(t, "done")
		alone.requireEnds(t, a)
		r.Do("PEXPIRE", "sse:"+a, 1)
		redistest.Eventually(t, patience, "the stream to expire", func() bool { return r.Do("EXISTS", "sse:"+a) == int64(0) })
		r.XAdd("sse:"+b, "data", "goes on")
		c.requireData(t, "goes on")
		if again := subscribe(t, tr, p.eventsURL("channel="+a), "Last-Event-ID", alone.position()); again.status != http.StatusNoContent {
			t.Errorf("status %d after the stream has expired", again.status)
		}
		r.XAdd("sse:"+b, "gateway.end", "1")
		c.requireEnds(t, b)
	}
	if gaps := p.metric("sse_gateway_gaps_total"); gaps != 0 {
		t.Errorf("%v gaps", gaps)
	}
}

// What a publisher says by gateway.end: again, in the middle, with data, with any
// value.
func TestPublishersOfEnds(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL())...)
	p.awaitReady()
	for name, c := range map[string]struct {
		entries [][]string
		data    []string
		ends    bool
	}{
		"with data":     {[][]string{{"data", "1"}, {"data", "2", "gateway.end", "1"}}, []string{"1", "2"}, true},
		"alone":         {[][]string{{"data", "1"}, {"gateway.end", ""}}, []string{"1"}, true},
		"of any value":  {[][]string{{"gateway.end", "false"}}, nil, true},
		"repeated":      {[][]string{{"data", "1"}, {"gateway.end", "1"}, {"gateway.end", "1"}}, []string{"1"}, true},
		"in-the-middle": {[][]string{{"data", "1"}, {"gateway.end", "1"}, {"data", "2"}}, []string{"1", "2"}, false},
		"in-the-middle, and at the end": {[][]string{{"data", "1"}, {"data", "2", "gateway.end", "1"}, {"data", "3"}, {"gateway.end", "1"}},
			[]string{"1", "2", "3"}, true},
	} {
		channel := strings.NewReplacer(" ", "_", ",", "").Replace(name)
		for _, fields := range c.entries {
			r.XAdd("sse:"+channel, fields...)
		}
		s := subscribe(t, transport(t, 1, nil), p.eventsURL("channel="+channel+"&replay=all")).ready(t)
		for _, data := range c.data {
			s.requireData(t, data)
		}
		if c.ends {
			s.requireEnds(t, channel)
			continue
		}
		r.XAdd("sse:"+channel, "data", "more")
		s.requireData(t, "more")
		s.close()
	}
}

// What an application asks for that is wrong is 400, and the answer says what is
// accepted. What a browser adds to a good URL is not.
func TestWrongRequests(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGateway(t, gatewayEnv(r.URL())...)
	p.awaitReady()
	id := r.XAdd("sse:a", "data", "1")
	second := r.XAdd("sse:a", "data", "2")
	for query, accepted := range map[string]string{
		"":                            "/events?channel=orders",
		"channel=a@":                  "the id of an entry, as in orders@1700000000000-0",
		"channel=a@junk":              "the id of an entry",
		"channel=a@-1":                "the id of an entry",
		"channel=a@1-1-1":             "the id of an entry",
		"channel=a@1-1&channel=a@2-2": "two positions",
		"channel=a&limit=0":           "from 1 to 1000",
		"channel=a&limit=1001":        "from 1 to 1000",
		"channel=a&wait=10h":          "from 0s to 1m0s",
		"channel=a&wait=5":            "such as 25s",
		"channel=a&deliver=x":         "the only one is latest",
		"channel=a&heartbeat=x":       "the only one is event",
		"channel=a&envelope=x":        "the only one is json",
		"channel=a&refusal=404":       "200 or 503",
		"channel=a&since=yesterday":   "a duration such as 10m",
		"channel=a&replay=some":       "a number of events, or all",
		"channel=gateway.revocations": "the gateway's own",
	} {
		for _, accept := range []string{"text/event-stream", "application/json"} {
			status, body := fetch(t, p.eventsURL(query), http.Header{"Accept": {accept}, "Last-Event-Id": {id}})
			if status != http.StatusBadRequest || !strings.Contains(body, accepted) {
				t.Errorf("%s, %s: %d %s; want 400 with %q", query, accept, status, body, accepted)
			}
		}
	}
	// A browser that comes back adds its position to the URL that it has: it wins.
	for _, at := range []string{"@0", "@" + id, "@" + second} {
		c := subscribe(t, transport(t, 1, nil), p.eventsURL("channel="+url.QueryEscape("a"+at)), "Last-Event-ID", id).ready(t)
		c.requireData(t, "2")
		c.close()
	}
}
