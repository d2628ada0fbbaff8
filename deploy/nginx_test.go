package deploy_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// renderNginx fills the template in as the nginx image does, and returns the
// path of the configuration.
func renderNginx(t *testing.T, env map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	env = maps.Clone(env)
	env["SSE_LB_RUN_DIR"] = dir
	conf := regexp.MustCompile(`\$\{([A-Z0-9_]+)\}`).ReplaceAllStringFunc(read(t, "nginx/nginx.conf.template"), func(v string) string {
		value, ok := env[v[2:len(v)-1]]
		if !ok {
			t.Errorf("nginx.conf.template: %s is not set", v)
		}
		return value
	})
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func startNginx(t *testing.T, stubs []*stub, idle time.Duration) balancer {
	t.Helper()
	http1, http2 := redistest.FreeAddr(t), redistest.FreeAddr(t)
	env := stubEnv(t, stubs)
	env["SSE_LB_BIND"], env["SSE_LB_H2C_BIND"] = http1, http2
	env["SSE_LB_IDLE_TIMEOUT"] = milliseconds(idle)
	// The user counts only when the tests run as root: the workers of another one
	// could not write to the directory of the test.
	start(t, nil, redistest.Command(t, "nginx", "nginx"), "-e", "stderr", "-g", "daemon off; user root;", "-c", renderNginx(t, env))
	waitListening(t, http1)
	waitListening(t, http2)
	return balancer{"http://" + http1, "http://" + http2}
}

func TestNginxConfig(t *testing.T) {
	env := map[string]string{
		"SSE_LB_BIND": "127.0.0.1:8080", "SSE_LB_H2C_BIND": "127.0.0.1:8081", "SSE_LB_IDLE_TIMEOUT": "60s",
		"SSE_GATEWAY_1": "127.0.0.1:8082", "SSE_GATEWAY_2": "127.0.0.1:8083", "SSE_GATEWAY_3": "127.0.0.1:8084",
	}
	check(t, nil, redistest.Command(t, "nginx", "nginx"), "-e", "stderr", "-t", "-c", renderNginx(t, env))
}

func TestNginx(t *testing.T) {
	testBalancer(t, startNginx)
	t.Run("a gateway that refuses is passed by", func(t *testing.T) {
		stubs := startStubs(t, 0)
		stubs[1].refusing.Store(true)
		lb := startNginx(t, stubs, time.Minute)
		for range 6 {
			for version, url := range map[int]string{1: lb.http1, 2: lb.http2} {
				if _, name := subscribe(t, url, version); name == "gateway-2" {
					t.Error("gateway-2 answered, which refuses")
				}
			}
		}
	})
}
