// Package proxytest runs the proxies whose configurations are in deploy, with those
// configurations, in front of gateways of a test.
package proxytest

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/gatewaytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// maxGateways is how many gateways the configurations have.
const maxGateways = 3

// Gateway has the addresses, host:port, of a gateway's two listeners.
type Gateway struct{ Public, Admin string }

// Proxy is a proxy that runs.
type Proxy struct {
	HTTP1, HTTP2 string // base URLs; HTTP/2 is by prior knowledge
	Metrics      string // base URL of its own figures; "" if it has none
	Kind
}

// Kind is what proxies differ in.
type Kind struct {
	SeesDrain bool // no new client is sent to a gateway that drains, or notices it
	SeesLeave bool // a gateway hears at once of a client that left, not only with the next write
	Throttles bool // no more is taken from a gateway than its client takes
	TellsKill bool // a gateway that is killed is an error to its clients, not an orderly end
}

// Starter starts a proxy that lasts until the end of the test, in front of up to
// three gateways that share the port of their admin listeners. A stream that is
// silent for idle counts as dead.
type Starter func(t testing.TB, idle time.Duration, gateways ...Gateway) Proxy

// Starters returns a starter for each proxy, by name.
func Starters() map[string]Starter {
	return map[string]Starter{"HAProxy": HAProxy, "nginx": Nginx, "Caddy": Caddy, "Apache": Apache, "Varnish": Varnish}
}

// stopPatience is how long a proxy may take to stop: some wait for streams, which the
// test may have left open.
const stopPatience = 2 * time.Second

// Run starts a program with the given variables beside the test's, until the end of
// the test, and waits until it listens at the addresses.
func Run(t testing.TB, env map[string]string, addrs []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = os.Environ()
	for _, k := range slices.Sorted(maps.Keys(env)) {
		cmd.Env = append(cmd.Env, k+"="+env[k])
	}
	var out redistest.Output
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(stopPatience):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // with its workers
			<-ended
		}
		if t.Failed() {
			t.Logf("%s printed:\n%.10000s", name, out.String())
		}
	})
	for _, addr := range addrs {
		redistest.Eventually(t, 20*time.Second, addr+" accepts connections", func() bool {
			select {
			case <-ended:
				t.Fatalf("%s has ended", name)
			default:
			}
			c, err := net.DialTimeout("tcp", addr, time.Second)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
}

// file returns the path of a file in deploy.
func file(t testing.TB, elements ...string) string {
	t.Helper()
	root, err := gatewaytest.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{root, "deploy"}, elements...)...)
}

var variable = regexp.MustCompile(`\$\{([A-Z0-9_]+)\}`)

// render writes a template of deploy to dir with its variables filled in, as
// envsubst does, and returns the path of the result. All of them have to be set.
func render(t testing.TB, dir string, env map[string]string, elements ...string) string {
	t.Helper()
	template, err := os.ReadFile(file(t, elements...))
	if err != nil {
		t.Fatal(err)
	}
	text := variable.ReplaceAllStringFunc(string(template), func(v string) string {
		value, ok := env[v[2:len(v)-1]]
		if !ok {
			t.Errorf("%s: %s is not set", filepath.Join(elements...), v)
		}
		return value
	})
	path := filepath.Join(dir, strings.TrimSuffix(elements[len(elements)-1], ".template"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// environment names the gateways and the idle time as the configurations read them.
// A gateway that is not there refuses connections.
func environment(t testing.TB, idle time.Duration, gateways []Gateway) map[string]string {
	t.Helper()
	env := map[string]string{"SSE_LB_IDLE_TIMEOUT": strconv.FormatInt(idle.Milliseconds(), 10) + "ms"}
	for i := range maxGateways {
		g := Gateway{"127.0.0.1:1", "127.0.0.1:1"}
		if i < len(gateways) {
			g = gateways[i]
		}
		name := fmt.Sprintf("SSE_GATEWAY_%d", i+1)
		env[name] = g.Public
		env[name+"_HOST"], env[name+"_PORT"] = split(t, g.Public)
		_, env[name+"_ADMIN"] = split(t, g.Admin)
	}
	env["SSE_GATEWAY_ADMIN"] = env["SSE_GATEWAY_1_ADMIN"]
	return env
}

func split(t testing.TB, addr string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}
