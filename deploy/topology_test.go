package deploy_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// operatorPassword is of the user that the test adds, to look into Redis.
const operatorPassword = "operator-of-the-test"

// topology is what docker-compose.yml describes (but for Grafana), as plain
// processes: the same programs with the same files, arguments and variables, only
// with other addresses.
type topology struct {
	compose    composeFile
	redis      *process
	redisAddr  string
	gateways   []*process
	public     []string // addresses of the gateways
	admin      []string
	haproxy    *process
	url        string // of the load balancer
	haproxyOwn string // address of its metrics
	prometheus *process
	scraper    string // address of Prometheus
}

func startTopology(t *testing.T) *topology {
	t.Helper()
	top := &topology{compose: compose(t)}
	top.startRedis(t)
	for _, name := range top.compose.gateways() {
		top.startGateway(t, name)
	}
	top.startHAProxy(t)
	top.startPrometheus(t)
	return top
}

// arguments are those of a service's command, its paths replaced by others.
func (top *topology) arguments(t *testing.T, service string, paths map[string]string) []string {
	t.Helper()
	var args []string
	for _, a := range top.compose.Services[service].Command {
		for path, local := range paths {
			a = strings.Replace(a, path, local, 1)
		}
		args = append(args, a)
	}
	return args
}

func (top *topology) startRedis(t *testing.T) {
	t.Helper()
	sum := sha256.Sum256([]byte(operatorPassword))
	users := writeTemp(t, "users.acl", read(t, "redis/users.acl")+"user operator on #"+hex.EncodeToString(sum[:])+" ~* &* +@all\n")
	top.redisAddr = redistest.FreeAddr(t)
	args := top.arguments(t, "redis", map[string]string{"/usr/local/etc/redis/redis.conf": "redis/redis.conf", "/data": t.TempDir()})
	args = append(args[1:], "--bind", "127.0.0.1", "--port", port(t, top.redisAddr), "--aclfile", users)
	top.redis = start(t, nil, redistest.Command(t, "redis-server", "redis-server"), args...)
	waitListening(t, top.redisAddr)
}

// withDefault is ${NAME:-default} in the compose file.
var withDefault = regexp.MustCompile(`\$\{[A-Z_]+:-([^}]*)\}`)

func (top *topology) startGateway(t *testing.T, name string) {
	t.Helper()
	env := maps.Clone(top.compose.Services[name].Environment)
	env["SSE_REDIS_URL"] = strings.Replace(withDefault.ReplaceAllString(env["SSE_REDIS_URL"], "$1"), "redis:6379", top.redisAddr, 1)
	env["SSE_TRUSTED_PROXIES"] = "127.0.0.1/32" // where this load balancer is
	env["SSE_ADDR"], env["SSE_ADMIN_ADDR"] = redistest.FreeAddr(t), redistest.FreeAddr(t)
	top.public = append(top.public, env["SSE_ADDR"])
	top.admin = append(top.admin, env["SSE_ADMIN_ADDR"])
	p := startExactly(t, assignments(env), gatewayProgram(t))
	top.gateways = append(top.gateways, p)
	redistest.Eventually(t, patience, name+" is ready", func() bool { return status("http://"+env["SSE_ADMIN_ADDR"]+"/readyz") == http.StatusOK })
	// The health check of the container.
	check(t, []string{"SSE_ADMIN_ADDR=" + env["SSE_ADMIN_ADDR"]}, gatewayProgram(t), top.compose.Services[name].Healthcheck.Test[2:]...)
}

func (top *topology) startHAProxy(t *testing.T) {
	t.Helper()
	addr := redistest.FreeAddr(t)
	top.url, top.haproxyOwn = "http://"+addr, redistest.FreeAddr(t)
	env := maps.Clone(top.compose.Services["haproxy"].Environment)
	env["SSE_LB_BIND"], env["SSE_LB_METRICS_BIND"] = addr, top.haproxyOwn
	for i := range top.gateways {
		n := fmt.Sprintf("SSE_GATEWAY_%d", i+1)
		env[n], env[n+"_ADMIN"] = top.public[i], port(t, top.admin[i])
	}
	top.haproxy = startExactly(t, assignments(env), redistest.Command(t, "haproxy", "haproxy"), "-db", "-f", haproxyConfig)
	redistest.Eventually(t, patience, "HAProxy is healthy", func() bool { return status("http://"+top.haproxyOwn+"/healthz") == http.StatusOK })
}

func (top *topology) startPrometheus(t *testing.T) {
	t.Helper()
	top.scraper = redistest.FreeAddr(t)
	// Only so that the test need not wait: ten times as often.
	replace := []string{"_interval: 10s", "_interval: 1s"}
	replace = append(replace, "haproxy:8404", top.haproxyOwn, "localhost:9090", top.scraper)
	for i, name := range top.compose.gateways() {
		replace = append(replace, name+":9090", top.admin[i])
	}
	config := writeTemp(t, "prometheus.yml", strings.NewReplacer(replace...).Replace(read(t, "prometheus/prometheus.yml")))
	rules, err := filepath.Abs("prometheus/rules")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(rules, filepath.Join(filepath.Dir(config), "rules")); err != nil {
		t.Fatal(err)
	}
	args := top.arguments(t, "prometheus", map[string]string{"/etc/prometheus/prometheus.yml": config, "=/prometheus": "=" + t.TempDir()})
	top.prometheus = start(t, nil, redistest.Command(t, "prometheus", "prometheus"), append(args, "--web.listen-address="+top.scraper)...)
	redistest.Eventually(t, patience, "Prometheus is ready", func() bool { return status("http://"+top.scraper+"/-/ready") == http.StatusOK })
}

// assignments writes variables as a process gets them.
func assignments(env map[string]string) []string {
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	return list
}

// status is the status of the answer to a GET, 0 if there is none.
func status(url string) int {
	res, err := http.Get(url)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// operator is a client that may do everything.
func (top *topology) operator(t *testing.T) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{
		Addr: top.redisAddr, Username: "operator", Password: operatorPassword, Protocol: 2, DisableIdentity: true, MaxRetries: -1,
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// stop stops everything in the order in which compose would, and requires that
// all of it ends well. No stream may be open, or the gateways take longer.
func (top *topology) stop(t *testing.T) {
	t.Helper()
	drain := drainTime(t, "gateway-1", top.compose.Services["gateway-1"].Environment)
	for _, g := range top.gateways {
		g.terminate()
	}
	for _, g := range top.gateways {
		g.requireEnd(t, drain)
	}
	for _, p := range []*process{top.prometheus, top.redis} {
		p.terminate()
		p.requireEnd(t, patience)
	}
	top.haproxy.terminate()
	select {
	case <-top.haproxy.ended:
	case <-time.After(patience):
		t.Fatal("HAProxy does not stop")
	}
	// It ends by the signal itself: there is no status of its own.
	if s := top.haproxy.cmd.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGTERM {
		t.Errorf("HAProxy ended with %v", top.haproxy.cmd.ProcessState)
	}
}
