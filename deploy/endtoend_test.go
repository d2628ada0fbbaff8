package deploy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestTopology starts what docker-compose.yml describes and uses it as its users
// do: publish, subscribe, come back, look at the console, scrape, stop.
func TestTopology(t *testing.T) {
	t.Parallel()
	top := startTopology(t)
	publisher := client(t, top.redisAddr, "publisher")
	publish := func(data string) {
		t.Helper()
		if err := publisher.Do(t.Context(), "XADD", "sse:orders", "*", "data", data).Err(); err != nil {
			t.Fatalf("the publisher may not publish: %v", err)
		}
	}

	// The health check of Redis's container, with its port.
	probe := top.compose.Services["redis"].Healthcheck.Test[1:]
	check(t, nil, redistest.Command(t, probe[0], "redis-tools"), append([]string{"-p", port(t, top.redisAddr)}, probe[1:]...)...)

	// The console, through the load balancer.
	res, err := http.Get(top.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), "<title>") {
		t.Errorf("the console: %s, %v, %.200q", res.Status, err, body)
	}

	// One stream on each gateway (leastconn); all get what is published.
	var streams []*stream
	for range top.gateways {
		s, ready := subscribe(t, top.url, 1)
		if !strings.HasPrefix(ready, `{"channels":{"orders":`) {
			t.Errorf("the first event is %s", ready)
		}
		streams = append(streams, s)
	}
	for i, admin := range top.admin {
		if got := scrape(t, admin, "sse_gateway_connections"); got != "1" {
			t.Errorf("gateway %d has %s streams, want 1", i+1, got)
		}
	}
	publish("hello")
	for _, s := range streams {
		if got := s.next(t); got != "hello" {
			t.Errorf("got %q", got)
		}
	}
	testComesBack(t, top, publish)
	testScraped(t, top)

	// All that was done with the rights of deploy/redis/users.acl. This comes
	// last, so that whatever the gateways try beside their job is in it.
	for _, s := range streams {
		s.Body.Close()
	}
	if denied, err := top.operator(t).Do(t.Context(), "ACL", "LOG").Slice(); err != nil || len(denied) > 0 {
		t.Errorf("Redis has denied something: %v %v", denied, err)
	}
	for i, admin := range top.admin {
		redistest.Eventually(t, patience, "the streams are gone", func() bool { return scrape(t, admin, "sse_gateway_connections") == "0" })
		if n := scrape(t, admin, "sse_gateway_sweep_finds_total"); n != "0" {
			t.Errorf("gateway %d: the sweep found %s entries", i+1, n)
		}
	}
	top.stop(t)
}

// testComesBack publishes while a client is away, which then comes back to
// whatever gateway the load balancer chooses.
func testComesBack(t *testing.T, top *topology, publish func(data string)) {
	t.Helper()
	id := lastID(t, top)
	publish("while you were away")
	publish("and another")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, top.url+"/events?channel=orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", id)
	res, err := transport(1).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got string
	for buf := make([]byte, 4096); !strings.Contains(got, "another"); {
		n, err := res.Body.Read(buf)
		got += string(buf[:n])
		if err != nil {
			t.Fatalf("%v after %q", err, got)
		}
	}
	if !strings.Contains(got, "data: while you were away\n") || strings.Contains(got, "hello") || strings.Contains(got, "gateway.gap") {
		t.Errorf("a client that comes back gets %q", got)
	}
}

// lastID is the id of the newest event, which a client would have.
func lastID(t *testing.T, top *topology) string {
	t.Helper()
	info, err := top.operator(t).XInfoStream(t.Context(), "sse:orders").Result()
	if err != nil {
		t.Fatal(err)
	}
	return info.LastGeneratedID
}

// testScraped waits until Prometheus has scraped everything, and looks at what
// it makes of the rules.
func testScraped(t *testing.T, top *topology) {
	t.Helper()
	for query, want := range map[string]int{
		`up{job="sse-gateway"} == 1`:             3,
		`up{job="haproxy"} == 1`:                 1,
		`up{job="prometheus"} == 1`:              1,
		`sse_gateway_tail_up == 1`:               3,
		`haproxy_server_status{state="UP"} == 1`: 3,
		`job:sse_gateway_connections:sum >= 3`:   1,
		`sum(sse_gateway_deliveries_total) >= 3`: 1,
	} {
		redistest.Eventually(t, patience, "Prometheus finds "+query, func() bool { return len(top.query(t, query)) == want })
	}
	// One that waited for the first scrape is gone again.
	redistest.Eventually(t, patience, "no alert is pending or fires", func() bool { return len(top.query(t, "ALERTS")) == 0 })
	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string } `json:"rules"`
			} `json:"groups"`
		} `json:"data"`
	}
	getJSON(t, "http://"+top.scraper+"/api/v1/rules", &rules)
	if len(rules.Data.Groups) < 2 {
		t.Errorf("Prometheus has %d groups of rules", len(rules.Data.Groups))
	}
	for _, g := range rules.Data.Groups {
		for _, r := range g.Rules {
			if r.Health == "err" {
				t.Errorf("rule %s: %s", r.Name, r.LastError)
			}
		}
	}
}

// query returns what Prometheus finds for a query.
func (top *topology) query(t *testing.T, query string) []any {
	t.Helper()
	var answer struct {
		Data struct {
			Result []any `json:"result"`
		} `json:"data"`
	}
	getJSON(t, "http://"+top.scraper+"/api/v1/query?query="+url.QueryEscape(query), &answer)
	return answer.Data.Result
}

func getJSON(t *testing.T, url string, v any) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(v); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, res.Status, err)
	}
}

// scrape returns the value of a series without labels.
func scrape(t *testing.T, admin, series string) string {
	t.Helper()
	return seriesIn(t, body("http://"+admin+"/metrics"), series)
}

// seriesIn is the value of a series in a page of metrics.
func seriesIn(t *testing.T, page, series string) string {
	t.Helper()
	for line := range strings.Lines(page) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("there is no series %s in %.200q", series, page)
	return ""
}

// body is the body of the answer to a GET, or why there is none.
func body(url string) string {
	res, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
