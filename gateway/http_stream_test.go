package gateway

import (
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/gateway/sse/ssetest"
	"github.com/sse-gateway/sse-gateway/store"
)

// streamHeaders are all that an event stream has, besides Date, which is
// checked to be there.
func streamHeaders() map[string]string {
	return map[string]string{
		"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache, no-transform",
		"X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff",
	}
}

func checkHeaders(t *testing.T, got http.Header, want map[string]string) {
	t.Helper()
	if _, err := http.ParseTime(got.Get("Date")); err != nil {
		t.Errorf("Date: %v", err)
	}
	for name, v := range want {
		if g := got.Values(name); len(g) != 1 || g[0] != v {
			t.Errorf("%s: %q, want %q", name, g, v)
		}
	}
	for name, v := range got {
		if _, ok := want[name]; !ok && name != "Date" {
			t.Errorf("%s: %q is not expected", name, v)
		}
	}
}

// before returns the greatest id before id.
func before(t *testing.T, id string) string {
	t.Helper()
	parsed, err := store.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Prev().String()
}

func TestStreamBegins(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	last := r.publish("orders", "before")
	headers := streamHeaders()
	if r.gzip {
		headers["Content-Encoding"], headers["Vary"] = "gzip", "Accept-Encoding"
	}
	for _, proto := range []string{http10, http11, h2c} {
		t.Run(proto, func(t *testing.T) {
			c := r.do(proto, r.request("channel=orders"))
			if c.resp.StatusCode != http.StatusOK {
				t.Fatal(c.resp.Status)
			}
			checkHeaders(t, c.resp.Header, headers)
			// The body is chunked, so that the client can tell its end from a
			// connection that breaks. HTTP/1.0 has no such body.
			chunked := slices.Equal(c.resp.TransferEncoding, []string{"chunked"})
			if c.resp.Close != (proto == http10) || chunked != (proto == http11) || c.resp.ContentLength >= 0 {
				t.Errorf("close %v, framing %q, length %d", c.resp.Close, c.resp.TransferEncoding, c.resp.ContentLength)
			}
			if !c.until(patience, func() bool { return len(c.parser.Events) == 1 }) {
				t.Fatal("no first frame")
			}
			want := `^retry: [0-9]{4}\nid: ` + last + `\nevent: gateway\.ready\ndata: \{"channels":\{"orders":"` + last + `"\}\}\n\n$`
			if !regexp.MustCompile(want).MatchString(c.tail()) {
				t.Errorf("the stream begins with %q", c.tail())
			}
			c.next()
			id := r.redis.XAdd(key("orders"), "event", "order", "data", "a\nb")
			if e := c.next(); e != (ssetest.Event{Name: "order", Data: "a\nb", ID: id}) {
				t.Errorf("got %+v", e)
			}
			c.nothingElse()
			if !strings.HasSuffix(c.tail(), "id: "+id+"\nevent: order\ndata: a\ndata: b\n\n") {
				t.Errorf("the event is %q", c.tail())
			}
			last = id
		})
	}
}

// What is said to have been written is what the clients got.
func TestDeliveryBytes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	clients := []*client{r.do(h2c, r.request("channel=a")), r.subscribe("channel=a&channel=b")}
	clients[0].next()
	for range 2 * runtime.GOMAXPROCS(0) { // so that some share what is written
		clients = append(clients, r.subscribe("channel=a"))
	}
	n := float64(len(clients))
	r.await(n, "connections_opened_total")
	sum := func() (n int) {
		for _, c := range clients {
			n += c.size()
		}
		return n
	}
	r.publish("a", "settle") // all is counted by then
	for _, c := range clients {
		c.expect("settle")
	}
	r.await(n, "deliveries_total")
	got, counted := sum(), r.value("delivery_bytes_total")
	r.publish("a", strings.Repeat("small ", 10))
	r.publish("a", strings.Repeat("large ", 16<<10))
	for _, c := range clients {
		c.expect(strings.Repeat("small ", 10), strings.Repeat("large ", 16<<10))
	}
	r.await(counted+float64(sum()-got), "delivery_bytes_total")
}

func TestStreamOfAnEmptyChannel(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.do(http11, r.request("channel=none&channel=nil"))
	names := sse.Signature([]string{"nil", "none"})
	if e := c.next(); e != (ssetest.Event{Name: "gateway.ready", Data: `{"channels":{"nil":"0-0","none":"0-0"}}`, ID: "0-0~0-0~" + names}) {
		t.Errorf("got %+v", e)
	}
	id := r.publish("none", "first")
	if e := c.next(); e != (ssetest.Event{Name: "message", Data: "first", ID: "0-0~" + id + "~" + names}) {
		t.Errorf("got %+v", e)
	}
	again := r.subscribe("channel=none&channel=nil", "Last-Event-ID", "0-0~0-0~"+names)
	again.expect("first") // and no gap: nothing was ever trimmed
}

func TestRetryIsSpread(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	seen := map[string]bool{}
	for range 30 {
		c := r.subscribe("channel=a")
		retry := c.retries()[0]
		if ms, err := strconv.Atoi(retry); err != nil || ms < 2000 || ms >= 4000 {
			t.Errorf("retry: %s, want within [2000, 4000)", retry)
		}
		seen[retry] = true
		c.stop()
	}
	if len(seen) < 20 {
		t.Errorf("only %d different among 30", len(seen))
	}
}

func TestEnvelopes(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *setup) { s.store.MaxEventBytes = 100 })
	c := r.subscribe("channel=b&channel=a&envelope=json")
	names := sse.Signature([]string{"a", "b"})
	first := r.redis.XAdd(key("b"), "event", "order", "data", "x\r\ny")
	if e := c.next(); e != (ssetest.Event{Name: "message", Data: `{"channel":"b","id":"` + first + `","event":"order","data":"x\ny"}`, ID: "0-0~" + first + "~" + names}) {
		t.Errorf("got %+v", e)
	}
	second := r.redis.XAdd(key("a"), "k", "v")
	if e := c.next(); e != (ssetest.Event{Name: "message", Data: `{"channel":"a","id":"` + second + `","event":"message","data":"{\"k\":\"v\"}"}`, ID: second + "~" + first + "~" + names}) {
		t.Errorf("got %+v", e)
	}
	large := r.publish("a", strings.Repeat("x", 200))
	if e := c.expectGap("a", before(t, large), large, "too_large"); e.ID != large+"~"+first+"~"+names {
		t.Errorf("the gap's id is %s", e.ID)
	}
	c.nothingElse()
	r.await(1, "gaps_total", "too_large")

	single := r.subscribe("channel=b&envelope=json&replay=all")
	if e := single.next(); e.ID != first || e.Data != `{"channel":"b","id":"`+first+`","event":"order","data":"x\ny"}` {
		t.Errorf("got %+v", e)
	}
}

func TestDroppedNamesAreCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.subscribe("channel=a")
	r.redis.XAdd(key("a"), "event", "gateway.ready", "data", "1")
	r.redis.XAdd(key("a"), "event", "x\ny", "data", "2")
	c.expect("1", "2")
	c.nothingElse()
	if n := r.value("event_names_dropped_total"); n != 2 {
		t.Errorf("%v names are counted", n)
	}
}
