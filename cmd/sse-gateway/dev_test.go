package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/gatewaytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// inProcess is the program's run on goroutines of the test.
type inProcess struct {
	addrs
	out, err redistest.Output
	drain    context.CancelFunc
	end      context.CancelFunc
	done     chan error
}

// startRun calls run with the test's environment (see gatewaytest.SetEnv) and
// returns when it listens.
func startRun(t *testing.T, args ...string) *inProcess {
	t.Helper()
	ctx, drain := context.WithCancel(context.Background())
	force, end := context.WithCancel(context.Background())
	p := &inProcess{drain: drain, end: end, done: make(chan error, 1)}
	started := make(chan addrs, 1)
	go func() {
		p.done <- run(ctx, force, args, program{out: &p.out, err: &p.err, embeddedRedis: "127.0.0.1:0", started: func(a addrs) { started <- a }})
	}()
	t.Cleanup(func() { drain(); end() })
	select {
	case p.addrs = <-started:
	case err := <-p.done:
		t.Fatalf("run: %v\n%s", err, &p.err)
	case <-time.After(patience):
		t.Fatalf("run does not listen\n%s", &p.err)
	}
	return p
}

// stop drains and returns when run has returned, which must be without error.
func (p *inProcess) stop(t *testing.T) {
	t.Helper()
	p.drain()
	select {
	case err := <-p.done:
		if err != nil {
			t.Errorf("run: %v", err)
		}
	case <-time.After(patience):
		t.Fatalf("run does not return\n%s", &p.err)
	}
}

// leaveNothing fails the test if a goroutine is left at its end.
func leaveNothing(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if err := redistest.Goroutines(ignore); err != nil {
			t.Error(err)
		}
	})
}

var isoTimePattern = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

func TestDev(t *testing.T) {
	leaveNothing(t)
	gatewaytest.SetEnv(t, "SSE_ADDR=127.0.0.1:0", "SSE_ADMIN_ADDR=127.0.0.1:0", "SSE_DRAIN_DELAY=0s", "SSE_DRAIN_WINDOW=0s")
	p := startRun(t, "dev")
	tr := transport(t, 1, nil)

	host, port, err := net.SplitHostPort(p.redis)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"http://" + p.public + "/\n", "http://" + p.admin + "/metrics", "curl -N 'http://" + p.public + "/events?channel=orders'",
		"redis-cli -h " + host + " -p " + port + " XADD sse:orders '*' data hello",
	} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("the welcome lacks %q:\n%s", want, &p.out)
		}
	}

	// What the welcome says to type works.
	c := subscribe(t, tr, "http://"+p.public+"/events?channel=orders").ready(t)
	out, err := exec.Command(redistest.Command(t, "redis-cli", "redis-tools"), "-h", host, "-p", port, "XADD", "sse:orders", "*", "data", "hello").CombinedOutput()
	if err != nil {
		t.Fatalf("redis-cli: %v: %s", err, out)
	}
	if e := c.requireData(t, "hello"); e.id != strings.Trim(string(out), "\" \n") {
		t.Errorf("id %s, redis-cli says %s", e.id, out)
	}

	status, page := fetch(t, "http://"+p.public+"/", nil)
	if status != http.StatusOK || !strings.Contains(page, `src="/console/main.mjs"`) || !strings.Contains(page, "redis-cli -h "+host+" -p "+port) {
		t.Errorf("the console answers %d, %d bytes", status, len(page))
	}
	requireTourOfPage(t, page)
	testDemo(t, subscribe(t, tr, "http://"+p.public+"/events?channel=demo&replay=all").ready(t))
	p.stop(t)
}

// testDemo checks that there is a ping every second and now and then a message.
func testDemo(t *testing.T, c *client) {
	t.Helper()
	var pings []time.Time
	for messages := 0; messages == 0 || len(pings) < 3; {
		switch e := c.next(t); e.name {
		case "ping":
			var data map[string]string
			if err := json.Unmarshal([]byte(e.data), &data); err != nil || !isoTimePattern.MatchString(data["time"]) || len(data) != 1 {
				t.Fatalf("a ping has data %q", e.data)
			}
			at, err := time.Parse(time.RFC3339, data["time"])
			if err != nil {
				t.Fatal(err)
			}
			pings = append(pings, at)
		case "":
			rest, ok := strings.CutPrefix(e.data, "This is a message at time ")
			if !ok || !isoTimePattern.MatchString(rest) {
				t.Errorf("a message has data %q", e.data)
			}
			messages++
		default:
			t.Errorf("unexpected %+v", e)
		}
	}
	// The first may be late by nearly a second, and each by what the machine is late.
	n := len(pings) - 1
	if d := pings[n].Sub(pings[0]); d < time.Duration(n-1)*time.Second || d > time.Duration(n)*5*time.Second {
		t.Errorf("%d pings within %v, want one a second", n, d)
	}
}

// With a Redis of its own, dev uses that and says how to reach it.
func TestDevWithRedis(t *testing.T) {
	leaveNothing(t)
	r := redistest.Start(t)
	gatewaytest.SetEnv(t, "SSE_ADDR=127.0.0.1:0", "SSE_ADMIN_ADDR=127.0.0.1:0", "SSE_DRAIN_DELAY=0s", "SSE_DRAIN_WINDOW=0s", "REDIS_URL="+r.URL(), "SSE_KEY_PREFIX=my:")
	p := startRun(t, "dev")
	if want := "XADD my:orders"; p.redis != "" || !strings.Contains(p.out.String(), want) || strings.Contains(p.out.String(), "forgets") {
		t.Errorf("embedded Redis %q, welcome:\n%s", p.redis, &p.out)
	}
	c := subscribe(t, transport(t, 1, nil), "http://"+p.public+"/events?channel=demo&replay=all").ready(t)
	c.nextNamed(t, "ping")
	if n := r.Client().XLen(t.Context(), "my:demo").Val(); n == 0 {
		t.Error("the demo is not in that Redis")
	}
	p.stop(t)
}

// In a Redis of its own a developer may have streams that matter: publishing
// from the console adds to one and takes nothing away, and so does the demo.
func TestDevTrimsNothing(t *testing.T) {
	leaveNothing(t)
	r := redistest.Start(t)
	const entries = 3 * demoLength
	pipe := r.Client().Pipeline()
	for _, key := range []string{"sse:orders", "sse:demo"} {
		for range entries {
			pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: key, Values: []string{"data", "x"}})
		}
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	gatewaytest.SetEnv(t, "SSE_ADDR=127.0.0.1:0", "SSE_ADMIN_ADDR=127.0.0.1:0", "SSE_DRAIN_DELAY=0s", "SSE_DRAIN_WINDOW=0s", "SSE_REDIS_URL="+r.URL())
	p := startRun(t, "dev")
	res, err := http.Post("http://"+p.public+"/console/publish", "application/json", strings.NewReader(`{"channel":"orders","event":"","data":"y"}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if n := r.Client().XLen(t.Context(), "sse:orders").Val(); res.StatusCode != http.StatusOK || n != entries+1 {
		t.Errorf("published with %s, the stream has %d entries, want %d", res.Status, n, entries+1)
	}
	subscribe(t, transport(t, 1, nil), "http://"+p.public+"/events?channel=demo").ready(t).nextNamed(t, "ping")
	if n := r.Client().XLen(t.Context(), "sse:demo").Val(); n <= entries {
		t.Errorf("the stream of the demo has %d entries, want what was there, %d, and more", n, entries)
	}
	p.stop(t)
}

// A cluster cannot be published to, but it is served.
func TestDevWithoutPublisher(t *testing.T) {
	leaveNothing(t)
	gatewaytest.SetEnv(t, "SSE_ADDR=127.0.0.1:0", "SSE_ADMIN_ADDR=127.0.0.1:0", "SSE_DRAIN_DELAY=0s", "SSE_DRAIN_WINDOW=0s", "SSE_REDIS_URL=redis+cluster://127.0.0.1:1")
	p := startRun(t, "dev")
	if !strings.Contains(p.err.String(), "no demo") {
		t.Errorf("the log does not say that there is no demo:\n%s", &p.err)
	}
	if status, _ := fetch(t, "http://"+p.public+"/", nil); status != http.StatusOK {
		t.Errorf("the console answers %d", status)
	}
	p.stop(t)
}

// The embedded Redis is asked every 5 ms, so that what the page shows as latency is
// the gateway's; that it has to be asked is nothing to warn of.
func TestDevPollsOften(t *testing.T) {
	leaveNothing(t)
	gatewaytest.SetEnv(t, "SSE_ADDR=127.0.0.1:0", "SSE_ADMIN_ADDR=127.0.0.1:0", "SSE_DRAIN_DELAY=0s", "SSE_DRAIN_WINDOW=0s", "SSE_LOG_LEVEL=debug")
	p := startRun(t, "dev")
	redistest.Eventually(t, patience, "the tail says how often it polls", func() bool { return strings.Contains(p.err.String(), "interval=5ms") })
	p.stop(t)
	if strings.Contains(p.err.String(), "level=WARN") {
		t.Errorf("it warns:\n%s", &p.err)
	}
}

// No page of another site can read what dev serves, on either listener, under a name
// of its own.
func TestDevRefusesNames(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGatewayCommand(t, exec.Command(gatewayBinary, "dev"), gatewayEnv(r.URL())...)
	for host, ours := range map[string]bool{
		"evil.example": false, "localhost.evil.example": false, "localhost": true, "127.0.0.1": true, "[::1]:80": true,
	} {
		for _, url := range []string{p.public + "/nothing", p.public + "/events?channel=a", p.admin + "/metrics"} {
			req := mustRequest(t, "http://"+url)
			req.Host = host
			res, err := transport(t, 1, nil).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if refused := res.StatusCode == http.StatusForbidden; refused == ours {
				t.Errorf("%s as %s: %s", url, host, res.Status)
			}
		}
	}
}

func TestRedisCLI(t *testing.T) {
	for url, want := range map[string]string{
		"redis://127.0.0.1:6379":     "redis-cli",
		"redis://u:hunter2@h:1/2":    "redis-cli -h h -p 1 -n 2",
		"rediss://h:1":               "redis-cli -h h -p 1 --tls",
		"unix:///run/redis.sock":     "redis-cli -s /run/redis.sock",
		"redis://[::1]:6379?db=3":    "redis-cli -h ::1 -p 6379 -n 3",
		"unix://u:hunter2@/run/sock": "redis-cli -s /run/sock",
	} {
		if got := redisCLI(mustParseURL(t, url)); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

func mustParseURL(t *testing.T, url string) *redis.Options {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return opts
}
