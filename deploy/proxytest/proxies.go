package proxytest

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// HAProxy starts HAProxy.
func HAProxy(t testing.TB, idle time.Duration, gateways ...Gateway) Proxy {
	t.Helper()
	env, addr, metrics := environment(t, idle, gateways), redistest.FreeAddr(t), redistest.FreeAddr(t)
	env["SSE_LB_BIND"], env["SSE_LB_METRICS_BIND"] = addr, metrics
	Run(t, env, []string{addr, metrics}, redistest.Command(t, "haproxy", "haproxy"), "-db", "-f", file(t, "haproxy", "haproxy.cfg"))
	return Proxy{HTTP1: "http://" + addr, HTTP2: "http://" + addr, Metrics: "http://" + metrics, Kind: Kind{SeesDrain: true, SeesLeave: true, Throttles: true, TellsKill: true}}
}

// Nginx starts nginx.
func Nginx(t testing.TB, idle time.Duration, gateways ...Gateway) Proxy {
	t.Helper()
	env, http1, http2, dir := environment(t, idle, gateways), redistest.FreeAddr(t), redistest.FreeAddr(t), t.TempDir()
	env["SSE_LB_BIND"], env["SSE_LB_H2C_BIND"], env["SSE_LB_RUN_DIR"] = http1, http2, dir
	// The user counts only when the tests run as root: the workers of another one
	// could not write to the directory of the test.
	Run(t, nil, []string{http1, http2}, redistest.Command(t, "nginx", "nginx"), "-e", "stderr", "-g", "daemon off; user root;",
		"-c", render(t, dir, env, "nginx", "nginx.conf.template"))
	return Proxy{HTTP1: "http://" + http1, HTTP2: "http://" + http2, Kind: Kind{SeesDrain: true, SeesLeave: true, Throttles: true, TellsKill: true}}
}

// Caddy starts Caddy.
func Caddy(t testing.TB, idle time.Duration, gateways ...Gateway) Proxy {
	t.Helper()
	env, addr, dir := environment(t, idle, gateways), redistest.FreeAddr(t), t.TempDir()
	env["HOME"], env["XDG_DATA_HOME"], env["XDG_CONFIG_HOME"] = dir, dir, dir
	env["SSE_LB_HOST"], env["SSE_LB_PORT"] = split(t, addr)
	Run(t, env, []string{addr}, redistest.Command(t, "caddy", "caddy"), "run", "--adapter", "caddyfile", "--config", file(t, "caddy", "Caddyfile"))
	return Proxy{HTTP1: "http://" + addr, HTTP2: "http://" + addr, Kind: Kind{SeesDrain: true, SeesLeave: true, Throttles: true}}
}

// Apache starts Apache httpd.
func Apache(t testing.TB, idle time.Duration, gateways ...Gateway) Proxy {
	t.Helper()
	env, addr := environment(t, idle, gateways), redistest.FreeAddr(t)
	env["SSE_LB_BIND"], env["SSE_LB_RUN_DIR"], env["SSE_LB_CONF_DIR"] = addr, t.TempDir(), readable(t, file(t, "apache", "retry.lua"))
	env["SSE_LB_IDLE_SECONDS"] = strconv.Itoa(int(math.Ceil(idle.Seconds())))
	Run(t, env, []string{addr}, redistest.Command(t, "apache2", "apache2"), "-D", "FOREGROUND", "-f", file(t, "apache", "httpd.conf"))
	return Proxy{HTTP1: "http://" + addr, HTTP2: "http://" + addr, Kind: Kind{Throttles: true, TellsKill: true}}
}

// readable copies a file to a directory that any user may read, and returns the
// directory: where tests run as root Apache's workers are somebody else.
func readable(t testing.TB, path string) (dir string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir, err = os.MkdirTemp("", "sse-gateway-proxy-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, filepath.Base(path)), content, 0o644)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Varnish starts Varnish.
func Varnish(t testing.TB, idle time.Duration, gateways ...Gateway) Proxy {
	t.Helper()
	addr, dir := redistest.FreeAddr(t), t.TempDir()
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	Run(t, nil, []string{addr}, redistest.Command(t, "varnishd", "varnish"), "-F", "-n", work, "-a", addr, "-s", "Transient=malloc,64m", "-s", "malloc,1m",
		"-j", "none", "-p", "feature=+http2", "-f", render(t, dir, environment(t, idle, gateways), "varnish", "default.vcl.template"))
	return Proxy{HTTP1: "http://" + addr, HTTP2: "http://" + addr, Kind: Kind{SeesDrain: true, TellsKill: true}}
}
