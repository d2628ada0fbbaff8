package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/gatewaytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// serving is what a configuration needs that is otherwise good.
var serving = []string{"SSE_REDIS_URL=redis://127.0.0.1:1", "SSE_PUBLIC_CHANNELS=**", "SSE_ADDR=127.0.0.1:0", "SSE_ADMIN_ADDR=127.0.0.1:0"}

// runFailing does what main does with a configuration that is expected not to
// start, and returns the exit code and what was printed.
func runFailing(t *testing.T, args []string, env ...string) (code int, printed string) {
	t.Helper()
	gatewaytest.SetEnv(t, env...)
	var out, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	code = exitCode(run(ctx, ctx, args, program{out: &out, err: &stderr}), &stderr)
	if out.Len() > 0 {
		t.Errorf("printed on standard output: %s", &out)
	}
	return code, stderr.String()
}

// requireUsageError checks that a configuration does not start, says why in one
// line that has all of want, and exits with 2.
func requireUsageError(t *testing.T, args, env []string, want ...string) {
	t.Helper()
	code, printed := runFailing(t, args, env...)
	if code != 2 {
		t.Errorf("exit code %d, want 2: %s", code, printed)
	}
	if strings.Count(printed, "\n") != 1 || !strings.HasPrefix(printed, "sse-gateway: ") {
		t.Errorf("want one line, got:\n%s", printed)
	}
	for _, w := range want {
		if !strings.Contains(printed, w) {
			t.Errorf("%s\nlacks %q", printed, w)
		}
	}
	if strings.Contains(printed, "hunter2") {
		t.Errorf("the line has a secret: %s", printed)
	}
}

func TestWrongValues(t *testing.T) {
	const duration, number, yesNo, sizes = "a duration such as 500ms, 15s or 2m", "a whole number", "true or false", "a size from 1 byte to 1024GiB: a number of bytes, or one with the unit KiB, MiB or GiB"
	tests := []struct{ name, value, accepted string }{
		{"SSE_ADDR", "nowhere", "host:port"},
		{"SSE_ADDR", "127.0.0.1:99999", "host:port"},
		{"SSE_ADDR", "127.0.0.1:", "host:port"},
		{"SSE_ADDR", "127.0.0.1:no-such-service", "host:port"},
		{"SSE_ADMIN_ADDR", "127.0.0.1:http:80", "host:port"},
		{"SSE_ADMIN_ADDR", ":", "host:port"},
		{"SSE_PUBLIC_CHANNELS", "a b", "accepted is"},
		{"SSE_MAX_CHANNELS", "many", number},
		{"SSE_MAX_CHANNELS", "0", "from 1 on"},
		{"SSE_MAX_CHANNELS", "1.5", number},
		{"SSE_MAX_CONNECTIONS", "-1", "from 0 on"},
		{"SSE_MAX_CONNECTIONS", "99999999999999999999", number},
		{"SSE_MAX_CONNECTIONS_PER_IP", "-1", "from 0 on"},
		{"SSE_TRUSTED_PROXIES", "10.0.0.0/33", "CIDR"},
		{"SSE_TRUSTED_PROXIES", "10.0.0.0/-1", "CIDR"},
		{"SSE_MAX_EVENT_BYTES", "1MB", sizes},
		{"SSE_MAX_EVENT_BYTES", "0", sizes},
		{"SSE_MAX_EVENT_BYTES", "9999999999999", sizes},
		{"SSE_MAX_EVENT_BYTES", "-1", sizes},
		{"SSE_WINDOW_EVENTS", "0", "from 1 on"},
		{"SSE_WINDOW_EVENTS", "-3", "from 1 on"},
		{"SSE_WINDOW_MEMORY", "lots", sizes},
		{"SSE_WINDOW_MEMORY", "0", sizes},
		{"SSE_WINDOW_MEMORY", "1TiB", sizes},
		{"SSE_WINDOW_MEMORY", "1025GiB", sizes},
		{"SSE_CORS_ORIGINS", "example.com", "accepted is"},
		{"SSE_PATH", "events", "/api/events"},
		{"SSE_PATH", "/", "/api/events"},
		{"SSE_PATH", "/console/x", "/api/events"},
		{"SSE_PATH", "/a//b", "/api/events"},
		{"SSE_PATH", "/a/../b", "/api/events"},
		{"SSE_PATH", "/events?x", "/api/events"},
		{"SSE_CORS_ORIGINS", "https://a.example/path", "accepted is"},
		{"SSE_JWKS_URL", "ftp://keys.example/", "accepted is"},
		{"SSE_JWT_PUBLIC_KEY_FILE", "/nonexistent/key.pem", "accepted is"},
		{"SSE_JWT_SECRET_FILE", "/nonexistent/secret", "accepted is"},
		{"SSE_JWT_ISSUER", "https://issuer.example", "SSE_JWT_SECRET"},
		{"SSE_JWT_AUDIENCE", "web", "SSE_JWT_SECRET"},
		{"SSE_JWT_COOKIE", "token", "SSE_JWT_SECRET"},
		{"SSE_JWT_QUERY_PARAM", "token", "SSE_JWT_SECRET"},
		{"SSE_AUTH_URL", "app/check", "accepted is"},
		// These are wrong whether there is an SSE_AUTH_URL or not.
		{"SSE_AUTH_TIMEOUT", "0s", "from 1ms to 1m0s"},
		{"SSE_AUTH_TIMEOUT", "-1s", "from 1ms to 1m0s"},
		{"SSE_AUTH_TIMEOUT", "9000h0m0s", "from 1ms to 1m0s"},
		{"SSE_AUTH_CONCURRENCY", "0", "from 1 to 10000"},
		{"SSE_AUTH_CONCURRENCY", "-1", "from 1 to 10000"},
		{"SSE_AUTH_CONCURRENCY", "10001", "from 1 to 10000"},
		{"SSE_AUTH_CACHE_TTL", "-1s", "from 0s to 5m0s"},
		{"SSE_AUTH_CACHE_TTL", "5m1s", "from 0s to 5m0s"},
		{"SSE_MAX_CONNECTION_AGE", "soon", duration},
		{"SSE_MAX_CONNECTION_AGE", "1ns", "0 (off), or a duration from 1ms"},
		{"SSE_MAX_CONNECTION_AGE", "-1s", "0 (off), or a duration from 1ms"},
		{"SSE_MAX_CONNECTION_AGE", "9000h0m0s", "to 8760h0m0s"},
		{"SSE_METRIC_NAMESPACES", "orders,chat:1", "before the first colon"},
		{"SSE_METRIC_NAMESPACES", "other", "are not other"},
		{"SSE_METRIC_NAMESPACES", "chat,orders,chat", "each once"},
		{"SSE_METRIC_NAMESPACES", "a b", "before the first colon"},
		{"SSE_CONSOLE", "maybe", yesNo},
		{"SSE_LOG_LEVEL", "verbose", "debug, info, warn or error"},
		{"SSE_LOG_LEVEL", "INFO", "debug, info, warn or error"},
		{"SSE_LOG_FORMAT", "xml", "text or json"},
		{"SSE_COMPRESSION", "br", "off or gzip"},
		{"SSE_REDIS_USERNAME", "bob", "needs a password"},
		{"SSE_REDIS_PASSWORD_FILE", "/nonexistent/password", "no such file"},
		{"SSE_REDIS_READ", "slave", "master or replica"},
		{"SSE_READY", "maybe", "any, all or started"},
		{"SSE_REDIS_READ", "replica", "redis+sentinel:// or redis+cluster://"},
	}
	for _, name := range []string{"SSE_HEARTBEAT", "SSE_RETRY", "SSE_WRITE_TIMEOUT", "SSE_POLL_INTERVAL", "SSE_SWEEP_INTERVAL"} {
		for value, accepted := range map[string]string{"0s": "from 1ms", "-1s": "from 1ms", "1ns": "from 1ms", "15": duration, "soon": duration, "9000h0m0s": "to 8760h0m0s"} {
			tests = append(tests, struct{ name, value, accepted string }{name, value, accepted})
		}
	}
	for _, name := range []string{"SSE_WINDOW_LINGER", "SSE_FLUSH_INTERVAL", "SSE_DRAIN_DELAY", "SSE_DRAIN_WINDOW"} {
		for value, accepted := range map[string]string{"-1s": "from 0s", "15": duration, "soon": duration, "9000h0m0s": "to 8760h0m0s"} {
			tests = append(tests, struct{ name, value, accepted string }{name, value, accepted})
		}
	}
	for _, tt := range tests {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			requireUsageError(t, nil, append(serving[:len(serving):len(serving)], tt.name+"="+tt.value), tt.name, tt.value, tt.accepted)
		})
	}
}

// Variables that are wrong only together with another.
func TestWrongCombinations(t *testing.T) {
	with := func(env ...string) []string { return append(serving[:len(serving):len(serving)], env...) }
	secret := "SSE_JWT_SECRET=" + strings.Repeat("s", 32)
	for name, tt := range map[string]struct {
		env  []string
		want []string
	}{
		"no Redis":            {[]string{"SSE_PUBLIC_CHANNELS=**"}, []string{"SSE_REDIS_URL is not set", "set it", "sse-gateway dev"}},
		"nobody may":          {[]string{"SSE_REDIS_URL=redis://h"}, []string{"SSE_PUBLIC_CHANNELS", "SSE_JWT_SECRET", "SSE_JWKS_URL", "SSE_AUTH_URL"}},
		"same address":        {with("SSE_ADDR=127.0.0.1:8080", "SSE_ADMIN_ADDR=127.0.0.1:8080"), []string{"SSE_ADMIN_ADDR", "127.0.0.1:8080", "SSE_ADDR"}},
		"same port, all":      {with("SSE_ADDR=0.0.0.0:8080", "SSE_ADMIN_ADDR=:8080"), []string{"SSE_ADMIN_ADDR", ":8080", "another port", `SSE_ADDR="0.0.0.0:8080"`}},
		"same port, one":      {with("SSE_ADDR=:80", "SSE_ADMIN_ADDR=127.0.0.1:http"), []string{"SSE_ADMIN_ADDR", "127.0.0.1:http", "another port", `SSE_ADDR=":80"`}},
		"replicas of dev":     {[]string{"SSE_REDIS_URL=unix:///r.sock", "SSE_PUBLIC_CHANNELS=**", "SSE_REDIS_READ=replica"}, []string{"SSE_REDIS_READ", "replica", "SSE_REDIS_URL"}},
		"half of TLS":         {with("SSE_TLS_CERT_FILE=/x"), []string{`SSE_TLS_CERT_FILE="/x"`, "SSE_TLS_KEY_FILE is not set", "both or none"}},
		"other half of TLS":   {with("SSE_TLS_KEY_FILE=/x"), []string{`SSE_TLS_KEY_FILE="/x"`, "SSE_TLS_CERT_FILE is not set", "both or none"}},
		"no certificate":      {with("SSE_TLS_CERT_FILE=/nonexistent/c", "SSE_TLS_KEY_FILE=/nonexistent/k"), []string{"SSE_TLS_CERT_FILE", "/nonexistent/c", "PEM"}},
		"revoked nobody":      {with("SSE_REVOCATIONS=true"), []string{"SSE_REVOCATIONS", "true", "SSE_AUTH_URL"}},
		"headers of nobody":   {with("SSE_PROXY_PROTOCOL=true"), []string{"SSE_PROXY_PROTOCOL", "true", "SSE_TRUSTED_PROXIES"}},
		"two keys":            {with(secret, "SSE_JWKS_URL=https://k.example/"), []string{"SSE_JWT_SECRET", "SSE_JWKS_URL"}},
		"own parameter":       {with(secret, "SSE_JWT_QUERY_PARAM=channel"), []string{"SSE_JWT_QUERY_PARAM", "channel", "accepted is"}},
		"cookie name":         {with(secret, "SSE_JWT_COOKIE=a b"), []string{"SSE_JWT_COOKIE", "a b", "accepted is"}},
		"auth timeout":        {with("SSE_AUTH_URL=http://a.example/", "SSE_AUTH_TIMEOUT=2m"), []string{"SSE_AUTH_TIMEOUT", "2m0s", "accepted is"}},
		"no auth timeout":     {with("SSE_AUTH_URL=http://a.example/", "SSE_AUTH_TIMEOUT=0"), []string{"SSE_AUTH_TIMEOUT", "0s", "from 1ms"}},
		"auth concurrency":    {with("SSE_AUTH_URL=http://a.example/", "SSE_AUTH_CONCURRENCY=0"), []string{"SSE_AUTH_CONCURRENCY", "0", "from 1 to"}},
		"auth cache":          {with("SSE_AUTH_URL=http://a.example/", "SSE_AUTH_CACHE_TTL=1h"), []string{"SSE_AUTH_CACHE_TTL", "1h0m0s", "accepted is"}},
		"short secret":        {with("SSE_JWT_SECRET=hunter2"), []string{"SSE_JWT_SECRET", "32"}},
		"proxy in a list":     {with("SSE_TRUSTED_PROXIES=10.0.0.1,proxy"), []string{"SSE_TRUSTED_PROXIES", `"proxy"`, "CIDR"}},
		"origins and *":       {with("SSE_CORS_ORIGINS=https://a.example,*"), []string{"SSE_CORS_ORIGINS", `"*"`, "alone"}},
		"auth URL with login": {with("SSE_AUTH_URL=http://u:hunter2@a.example/"), []string{"SSE_AUTH_URL", "accepted is"}},
		"JWKS URL with login": {with("SSE_JWKS_URL=https://u:hunter2@a.example/?key=hunter2"), []string{"SSE_JWKS_URL", "accepted is"}},
	} {
		t.Run(name, func(t *testing.T) { requireUsageError(t, nil, tt.env, tt.want...) })
	}
}

// All mistakes are told at once, each once and in a line of its own.
func TestAllMistakesAreToldAtOnce(t *testing.T) {
	env := []string{
		"SSE_HEARTBEAT=soon", "SSE_RETRY=0s", "SSE_MAX_CHANNELS=0", "SSE_WINDOW_MEMORY=lots", "SSE_ADDR=nowhere", "SSE_REDIS_URL=http://u:hunter2@h",
		"SSE_TLS_CERT_FILE=/nonexistent/c", "SSE_TLS_KEY_FILE=/nonexistent/k", "SSE_PROXY_PROTOCOL=true", "SSE_CORS_ORIGINS=example.com", "SSE_JWT_SECRET=hunter2",
		"SSE_JWT_COOKIE=a b", "SSE_AUTH_URL=app", "SSE_AUTH_TIMEOUT=2m", "SSE_LOG_LEVEL=loud", "SSE_PUBLIC_CHANELS=**",
	}
	code, printed := runFailing(t, nil, env...)
	lines := strings.Split(strings.TrimSuffix(printed, "\n"), "\n")
	if code != 2 || len(lines) != len(env)-1 { // the two files are one mistake
		t.Errorf("exit code %d, %d lines, want %d:\n%s", code, len(lines), len(env)-1, printed)
	}
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		found := 0
		for _, line := range lines {
			if strings.HasPrefix(line, "sse-gateway: "+name) || name == "SSE_TLS_KEY_FILE" && strings.Contains(line, name) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%s is blamed in %d lines:\n%s", name, found, printed)
		}
	}
	if !strings.Contains(printed, "did you mean SSE_PUBLIC_CHANNELS?") || strings.Contains(printed, "hunter2") {
		t.Errorf("printed:\n%s", printed)
	}
}

func TestWrongRedisURLs(t *testing.T) {
	for _, url := range []string{
		"127.0.0.1:6379", "http://127.0.0.1", "redis://", "redis://h:port", "redis://h:0", "redis://a,b", "redis://h/x", "redis://h?what=1",
		"redis+sentinel://h", "redis+cluster://h/1", "redis://h?ca=/x", "rediss://h?ca=/nonexistent", "rediss://h?cert=/x", "unix://x",
		// With a password, in every place where one may be written, or slip to.
		"redis://hunter2@h", "redis://u:hunter2@h:port", "redis://u:hunter2%zz@h", "http://u:hunter2@h", "redis://u:hunter2@h/x",
		"redis://u:p/hunter2@h", "redis://u:hunter2/x@h", "redis://u:p?hunter2@h", "redis://u:hunter2@@h:port",
		"redis+sentinel://h?sentinel_password=hunter2", "redis://h?password=hunter2", "redis://h?sentinel_password=hunter2",
		"u:hunter2@h", "redis:u:hunter2@h", "unix://u:hunter2@x",
	} {
		t.Run(url, func(t *testing.T) {
			requireUsageError(t, nil, []string{"SSE_REDIS_URL=" + url, "SSE_PUBLIC_CHANNELS=**"}, "SSE_REDIS_URL", "redis://", "rediss", "unix://", "redis+sentinel://", "redis+cluster://")
		})
	}
}

// The variable that is blamed is the one that has the value.
func TestWrongRedisURLOfFallback(t *testing.T) {
	for _, own := range [][]string{nil, {"SSE_REDIS_URL="}} {
		env := append(own, "REDIS_URL=redis://u:hunter2@h:port", "SSE_PUBLIC_CHANNELS=**")
		requireUsageError(t, nil, env, `sse-gateway: REDIS_URL="redis://…"`)
		requireUsageError(t, []string{"dev"}, env, `sse-gateway: REDIS_URL="redis://…"`)
	}
	requireUsageError(t, nil, []string{"SSE_REDIS_URL=redis://h:port", "REDIS_URL=redis://h", "SSE_PUBLIC_CHANNELS=**"}, `sse-gateway: SSE_REDIS_URL="redis://…"`)
	requireUsageError(t, nil, []string{"REDIS_URL=redis://h", "SSE_REDIS_READ=replica", "SSE_PUBLIC_CHANNELS=**"}, "SSE_REDIS_READ", "unless REDIS_URL is", "in REDIS_URL")
}

func TestWrongTLSFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(file, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	requireUsageError(t, nil, append(serving[:len(serving):len(serving)], "SSE_TLS_CERT_FILE="+file, "SSE_TLS_KEY_FILE="+file),
		"SSE_TLS_CERT_FILE", file, "PEM")
	one, other := redistest.NewTLSFiles(t), redistest.NewTLSFiles(t)
	requireUsageError(t, nil, append(serving[:len(serving):len(serving)], "SSE_TLS_CERT_FILE="+one.ServerCertFile, "SSE_TLS_KEY_FILE="+other.ServerKeyFile),
		"SSE_TLS_CERT_FILE", one.ServerCertFile, other.ServerKeyFile, "does not match")
}

// A line that is too short for a secret is told by its number, and not shown.
func TestWrongSecretFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(file, []byte(strings.Repeat("s", 32)+"\nhunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	requireUsageError(t, nil, append(serving[:len(serving):len(serving)], "SSE_JWT_SECRET_FILE="+file), "SSE_JWT_SECRET_FILE", file, "line 2")
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, name := range []string{"SSE_ADDR", "SSE_ADMIN_ADDR"} {
		t.Run(name, func(t *testing.T) {
			requireUsageError(t, nil, append(serving[:len(serving):len(serving)], name+"="+l.Addr().String()),
				name, l.Addr().String(), "taken", "set "+name+" to another", otherPort(l.Addr().String()))
		})
	}
	t.Run("embedded Redis", func(t *testing.T) {
		gatewaytest.SetEnv(t, "SSE_ADDR=127.0.0.1:0", "SSE_ADMIN_ADDR=127.0.0.1:0")
		var stderr strings.Builder
		code := exitCode(run(t.Context(), t.Context(), []string{"dev"}, program{out: &stderr, err: &stderr, embeddedRedis: l.Addr().String()}), &stderr)
		want := "the port of the embedded Redis, " + l.Addr().String() + ", is taken"
		if code != 2 || !strings.Contains(stderr.String(), want) || !strings.Contains(stderr.String(), "SSE_REDIS_URL=redis://"+l.Addr().String()) {
			t.Errorf("exit code %d:\n%s", code, &stderr)
		}
	})
}

func TestWrongCommands(t *testing.T) {
	requireUsageError(t, []string{"start"}, serving, `"start"`, "serve", "dev", "help", "version", "healthcheck")
	requireUsageError(t, []string{"dev", "now"}, serving, `"now"`, "sse-gateway dev -h")
	requireUsageError(t, []string{"help", "start"}, serving, `"start"`, "serve", "dev")
	requireUsageError(t, []string{"help", "dev", "now"}, serving, `"dev"`)
	requireUsageError(t, []string{"healthcheck"}, []string{"SSE_ADMIN_ADDR=nowhere"}, "SSE_ADMIN_ADDR", "nowhere", "host:port")
}
