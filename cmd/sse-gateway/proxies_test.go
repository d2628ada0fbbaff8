package main

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// balancer is a load balancer with the configuration in deploy, in front of
// gateways.
type balancer struct {
	name         string
	http1, http2 string // base URLs
}

// forEachBalancer runs a test behind each load balancer.
func forEachBalancer(t *testing.T, test func(t *testing.T, start func(t *testing.T, idle time.Duration, gateways ...*gatewayProcess) balancer)) {
	t.Run("HAProxy", func(t *testing.T) { t.Parallel(); test(t, startHAProxy) })
	t.Run("nginx", func(t *testing.T) { t.Parallel(); test(t, startNginx) })
}

// balancerEnv names up to three gateways; those that are not there refuse
// connections.
func balancerEnv(t *testing.T, idle time.Duration, gateways []*gatewayProcess) map[string]string {
	t.Helper()
	env := map[string]string{"SSE_LB_IDLE_TIMEOUT": strconv.FormatInt(idle.Milliseconds(), 10) + "ms", "SSE_LB_RUN_DIR": t.TempDir()}
	for i := range 3 {
		public, admin := "127.0.0.1:1", "127.0.0.1:1"
		if i < len(gateways) {
			public, admin = gateways[i].public, gateways[i].admin
		}
		_, port, err := net.SplitHostPort(admin)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("SSE_GATEWAY_%d", i+1)
		env[name], env[name+"_ADMIN"] = public, port
	}
	return env
}

func startHAProxy(t *testing.T, idle time.Duration, gateways ...*gatewayProcess) balancer {
	t.Helper()
	env := balancerEnv(t, idle, gateways)
	addr := redistest.FreeAddr(t)
	env["SSE_LB_BIND"], env["SSE_LB_METRICS_BIND"] = addr, redistest.FreeAddr(t)
	startTool(t, env, addr, redistest.Command(t, "haproxy", "haproxy"), "-db", "-f", "../../deploy/haproxy/haproxy.cfg")
	return balancer{name: "HAProxy", http1: "http://" + addr, http2: "http://" + addr}
}

func startNginx(t *testing.T, idle time.Duration, gateways ...*gatewayProcess) balancer {
	t.Helper()
	env := balancerEnv(t, idle, gateways)
	http1, http2 := redistest.FreeAddr(t), redistest.FreeAddr(t)
	env["SSE_LB_BIND"], env["SSE_LB_H2C_BIND"] = http1, http2
	template, err := os.ReadFile("../../deploy/nginx/nginx.conf.template")
	if err != nil {
		t.Fatal(err)
	}
	conf := regexp.MustCompile(`\$\{([A-Z0-9_]+)\}`).ReplaceAllStringFunc(string(template), func(v string) string { return env[v[2:len(v)-1]] })
	path := filepath.Join(t.TempDir(), "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	startTool(t, nil, http2, redistest.Command(t, "nginx", "nginx"), "-e", "stderr", "-g", "daemon off;", "-c", path)
	return balancer{name: "nginx", http1: "http://" + http1, http2: "http://" + http2}
}

// startTool starts a program until the end of the test and waits until it
// listens.
func startTool(t *testing.T, env map[string]string, addr, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = os.Environ()
	for k := range maps.Keys(env) {
		cmd.Env = append(cmd.Env, k+"="+env[k])
	}
	var out redistest.Output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		hung := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		hung.Stop()
		if t.Failed() {
			t.Logf("%s printed:\n%.4000s", name, out.String())
		}
	})
	redistest.Eventually(t, 10*time.Second, addr+" accepts connections", func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// startPair starts two gateways on one Redis.
func startPair(t *testing.T, env ...string) (*redistest.Server, []*gatewayProcess) {
	t.Helper()
	r := redistest.Start(t)
	var pair []*gatewayProcess
	for range 2 {
		p := startGateway(t, gatewayEnv(r.URL(), append([]string{"SSE_TRUSTED_PROXIES=127.0.0.1"}, env...)...)...)
		p.awaitReady()
		pair = append(pair, p)
	}
	return r, pair
}

// subscribeUntil opens a stream through a proxy, coming back until it is one:
// a proxy that has just started may not have found the gateways yet, and one
// that does not ask for readiness still knows a draining one.
func subscribeUntil(t *testing.T, rt http.RoundTripper, url string, headers ...string) *client {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		c, err := trySubscribe(t, rt, url, headers...)
		if err != nil {
			continue
		}
		select {
		case e, ok := <-c.events:
			if ok && e.name == "gateway.ready" {
				return c
			}
		case <-time.After(5 * time.Second):
			t.Fatal("neither a stream nor its end within 5 s")
		}
		c.close()
	}
	t.Fatal("no stream within 10 s")
	return nil
}

// A proxy holds nothing back, and heartbeats keep an idle stream for longer
// than the proxy's time-out.
func TestStreamsThroughProxies(t *testing.T) {
	t.Parallel()
	forEachBalancer(t, func(t *testing.T, start func(*testing.T, time.Duration, ...*gatewayProcess) balancer) {
		const idle = 1500 * time.Millisecond
		r, pair := startPair(t, "SSE_HEARTBEAT=400ms")
		lb := start(t, idle, pair...)
		var clients []*client
		for version, url := range map[int]string{1: lb.http1, 2: lb.http2} {
			tr := transport(t, version, nil)
			for range 4 {
				c := subscribeUntil(t, tr, url+"/events?channel=a")
				if c.proto != version || !strings.HasPrefix(c.header.Get("Content-Type"), "text/event-stream") {
					t.Errorf("HTTP/%d: got HTTP/%d, %s", version, c.proto, c.header.Get("Content-Type"))
				}
				clients = append(clients, c)
			}
		}
		if a, b := pair[0].metric("sse_gateway_connections"), pair[1].metric("sse_gateway_connections"); a+b != 8 || a < 2 || b < 2 {
			t.Errorf("streams per gateway: %v and %v", a, b)
		}
		opened := time.Now()
		for _, c := range clients {
			redistest.Eventually(t, 10*time.Second, "a stream outlives the proxy's time-out", func() bool {
				return !c.isOpen() || c.comments.Load() > 3 && time.Since(opened) > 3*idle
			})
			if !c.isOpen() {
				t.Fatalf("a stream ended %v after it was opened", time.Since(opened))
			}
		}
		for i := range 3 {
			r.XAdd("sse:a", "data", numbered(i, 5))
			at := time.Now()
			for _, c := range clients {
				if late := requireNumbered(t, c, i).at.Sub(at); late > 2*time.Second {
					t.Errorf("event %d came %v late", i, late)
				}
			}
		}
	})
}

// A replica that drains gets no new clients, keeps those it has until their turn comes, and they resume on the other.
func TestDrainBehindProxies(t *testing.T) {
	t.Parallel()
	forEachBalancer(t, func(t *testing.T, start func(*testing.T, time.Duration, ...*gatewayProcess) balancer) {
		const delay, window = 5 * time.Second, 2 * time.Second
		r, pair := startPair(t, "SSE_DRAIN_DELAY="+delay.String(), "SSE_DRAIN_WINDOW="+window.String())
		lb := start(t, time.Minute, pair...)
		tr := transport(t, 1, nil)
		url := lb.http1 + "/events?channel=a"
		var clients []*client
		for range 8 {
			clients = append(clients, subscribeUntil(t, tr, url))
		}
		old, other := pair[0], pair[1]
		had, otherHad := old.metric("sse_gateway_connections"), other.metric("sse_gateway_connections")
		if had == 0 {
			t.Fatal("no stream on the first gateway")
		}

		signalled := old.terminate()
		// The pool knows before the delay is over, by readiness or by the first
		// refusal: then nobody is refused, although the draining replica has the
		// fewest streams by then.
		redistest.Eventually(t, delay, "the draining replica is out of the pool", func() bool {
			for range int(otherHad) + 2 {
				if e, ok := <-subscribe(t, tr, url).events; !ok || e.name != "gateway.ready" {
					return false
				}
			}
			return true
		})
		r.XAdd("sse:a", "data", "to all")
		for _, c := range clients {
			c.requireData(t, "to all")
		}
		// More than it had are fine: a stream may be let in until the signal is
		// taken notice of.
		if left, d := old.metric("sse_gateway_connections"), time.Since(signalled); d < delay && left < had {
			t.Errorf("%v after the signal %v of %v streams are left", d, left, had)
		}

		old.requireExit(delay + window + drainReserve)
		open := func() (n int) {
			for _, c := range clients {
				if c.isOpen() {
					n++
				}
			}
			return n
		}
		// The end of the last may still be on its way through the proxy.
		redistest.Poll(patience, func() bool { return open() == len(clients)-int(had) })
		r.XAdd("sse:a", "data", "missed")
		ended := 0
		for _, c := range clients {
			if c.isOpen() {
				c.requireData(t, "missed")
				continue
			}
			ended++
			if c.partial != "" {
				t.Errorf("a stream ended with %.60q", c.partial)
			}
			subscribeUntil(t, tr, url, "Last-Event-ID", c.position()).requireData(t, "missed")
		}
		if ended != int(had) {
			t.Errorf("%d streams ended, the first gateway had %v (the second %v)", ended, had, otherHad)
		}
	})
}
