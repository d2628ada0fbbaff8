package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/gatewaytest"
)

// The contract's table, written out.
var contractDefaults = map[string]string{
	"SSE_ADDR":                   ":8080 (dev: 127.0.0.1:8080)",
	"SSE_PATH":                   "/events",
	"SSE_ADMIN_ADDR":             ":9090 (dev: 127.0.0.1:9090)",
	"SSE_REDIS_URL":              "none",
	"SSE_REDIS_USERNAME":         "none",
	"SSE_REDIS_PASSWORD_FILE":    "none",
	"SSE_REDIS_READ":             "master",
	"SSE_READY":                  "any",
	"SSE_KEY_PREFIX":             "sse:",
	"SSE_PUBLIC_CHANNELS":        "none (dev: **)",
	"SSE_HEARTBEAT":              "15s",
	"SSE_RETRY":                  "2s",
	"SSE_WRITE_TIMEOUT":          "30s",
	"SSE_MAX_CHANNELS":           "32",
	"SSE_MAX_CONNECTIONS":        "from the file limit",
	"SSE_MAX_CONNECTIONS_PER_IP": "0",
	"SSE_TRUSTED_PROXIES":        "none",
	"SSE_PROXY_PROTOCOL":         "false",
	"SSE_MAX_CONNECTION_AGE":     "0s",
	"SSE_MAX_EVENT_BYTES":        "1048576",
	"SSE_WINDOW_EVENTS":          "256",
	"SSE_WINDOW_MEMORY":          "256MiB",
	"SSE_WINDOW_LINGER":          "60s",
	"SSE_COMPRESSION":            "off",
	"SSE_FLUSH_INTERVAL":         "0s",
	"SSE_POLL_INTERVAL":          "50ms",
	"SSE_SWEEP_INTERVAL":         "30s",
	"SSE_DRAIN_DELAY":            "3s (dev: 0s)",
	"SSE_DRAIN_WINDOW":           "20s (dev: 1s)",
	"SSE_CORS_ORIGINS":           "none",
	"SSE_JWT_SECRET":             "none",
	"SSE_JWT_SECRET_FILE":        "none",
	"SSE_JWT_PUBLIC_KEY_FILE":    "none",
	"SSE_JWKS_URL":               "none",
	"SSE_JWT_ISSUER":             "none",
	"SSE_JWT_AUDIENCE":           "none",
	"SSE_JWT_CLAIM":              "channels",
	"SSE_JWT_COOKIE":             "none",
	"SSE_JWT_QUERY_PARAM":        "none",
	"SSE_AUTH_URL":               "none",
	"SSE_AUTH_TIMEOUT":           "5s",
	"SSE_AUTH_CONCURRENCY":       "64",
	"SSE_AUTH_CACHE_TTL":         "0s",
	"SSE_REVOCATIONS":            "false",
	"SSE_TLS_CERT_FILE":          "none",
	"SSE_TLS_KEY_FILE":           "none",
	"SSE_CONSOLE":                "false (dev: true)",
	"SSE_LOG_LEVEL":              "info",
	"SSE_LOG_FORMAT":             "text",
	"SSE_METRIC_NAMESPACES":      "none",
}

func TestDefaultsAreTheContracts(t *testing.T) {
	for _, v := range Variables() {
		want, ok := contractDefaults[v.Name]
		if !ok {
			t.Errorf("%s is not in the contract", v.Name)
		} else if got := v.Default(); got != want {
			t.Errorf("%s: default %q, the contract has %q", v.Name, got, want)
		}
		if v.Meaning == "" || v.Kind == "" {
			t.Errorf("%s has type %q and meaning %q", v.Name, v.Kind, v.Meaning)
		}
	}
	if got, want := len(Variables()), len(contractDefaults); got != want {
		t.Errorf("%d variables, the contract has %d", got, want)
	}
}

// What is read with nothing set but what has no default.
func TestDefaultsAsRead(t *testing.T) {
	gatewaytest.SetEnv(t, "SSE_REDIS_URL=redis://127.0.0.1:1", "SSE_PUBLIC_CHANNELS=a:*, b,,")
	got, err := Load(false)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Addr: ":8080", Path: "/events", AdminAddr: ":9090", RedisURL: "redis://127.0.0.1:1", RedisRead: "master", Ready: "any", KeyPrefix: "sse:", PublicChannels: []string{"a:*", "b"},
		Heartbeat: 15 * time.Second, Retry: 2 * time.Second, WriteTimeout: 30 * time.Second, MaxChannels: 32,
		MaxEventBytes: 1 << 20, WindowEvents: 256, WindowMemory: 256 << 20, WindowLinger: time.Minute,
		PollInterval: 50 * time.Millisecond, SweepInterval: 30 * time.Second, DrainDelay: 3 * time.Second, DrainWindow: 20 * time.Second,
		JWTClaim: "channels", AuthTimeout: 5 * time.Second, AuthConcurrency: 64, LogLevel: "info", LogFormat: "text", Compression: "off",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// What dev changes, and that a variable that is set wins over it.
func TestDevDefaults(t *testing.T) {
	gatewaytest.SetEnv(t)
	c, err := Load(true)
	if err != nil {
		t.Fatal(err)
	}
	if c.Addr != "127.0.0.1:8080" || c.AdminAddr != "127.0.0.1:9090" || !reflect.DeepEqual(c.PublicChannels, []string{"**"}) || !c.Console || c.RedisURL != "" ||
		c.DrainDelay != 0 || c.DrainWindow != time.Second {
		t.Errorf("dev: %+v", c)
	}
	gatewaytest.SetEnv(t, "SSE_ADDR=:1", "SSE_PUBLIC_CHANNELS=a", "SSE_CONSOLE=false", "SSE_DRAIN_DELAY=3s", "SSE_DRAIN_WINDOW=20s")
	if c, err = Load(true); err != nil {
		t.Fatal(err)
	}
	if c.Addr != ":1" || !reflect.DeepEqual(c.PublicChannels, []string{"a"}) || c.Console || c.DrainDelay != 3*time.Second || c.DrainWindow != 20*time.Second {
		t.Errorf("dev with variables set: %+v", c)
	}
}

// REDIS_URL is read in place of SSE_REDIS_URL, and is the only name without
// the prefix that is: names like ADDR belong to everybody.
func TestNamesWithoutPrefix(t *testing.T) {
	names := map[string]string{}
	for _, v := range Variables() {
		if v.Name != "SSE_REDIS_URL" {
			names[v.Name] = strings.TrimPrefix(v.Name, "SSE_")
		}
	}
	env := []string{"REDIS_URL=redis://fallback:1", "SSE_PUBLIC_CHANNELS=**"}
	for _, bare := range names {
		env = append(env, bare+"=bad value")
	}
	gatewaytest.SetEnv(t, env...)
	c, err := Load(false)
	if err != nil {
		t.Fatal(err)
	}
	if c.RedisURL != "redis://fallback:1" || c.Addr != ":8080" {
		t.Errorf("Redis %q, address %q", string(c.RedisURL), c.Addr)
	}
	t.Setenv("SSE_REDIS_URL", "redis://own:1")
	if c, err = Load(false); err != nil {
		t.Fatal(err)
	}
	if c.RedisURL != "redis://own:1" {
		t.Errorf("with both set: %q", string(c.RedisURL))
	}
	t.Setenv("SSE_REDIS_URL", "")
	if c, err = Load(false); err != nil {
		t.Fatal(err)
	}
	if c.RedisURL != "redis://fallback:1" {
		t.Errorf("with an empty one before it: %q", string(c.RedisURL))
	}
}

func TestUnknownVariablesAreNamed(t *testing.T) {
	// What was meant, or "".
	mistakes := map[string]string{
		"SSE_HEARBEAT=1s": "SSE_HEARTBEAT", "SSE_PROXY_PORTOCOL=true": "SSE_PROXY_PROTOCOL", "SSE_PUBLIC_CHANELS=**": "SSE_PUBLIC_CHANNELS",
		"SSE_MAX_CONNECTION=5": "SSE_MAX_CONNECTIONS", "SSE_MAX_CONECTIONS_PER_IP=5": "SSE_MAX_CONNECTIONS_PER_IP",
		"SSE_JWT_SECRETFILE=/x": "SSE_JWT_SECRET_FILE", "SSE_REDISURL=x": "SSE_REDIS_URL", "SSE_heartbeat=1s": "",
		"SSE_PORT=9999": "", "SSE_ADMIN_PORT=9090": "", "SSE_EXPORT_TCP=1": "", "SSE_SERVICE_NAME=events": "", "SSE_MY_PORT_RANGE=1-2": "",
	}
	// As a pod has them for the services sse-gateway, with a named port, and sse.
	services := []string{"SSE_GATEWAY_SERVICE_HOST=10.0.0.1", "SSE_GATEWAY_SERVICE_PORT=80", "SSE_GATEWAY_SERVICE_PORT_HTTP=80",
		"SSE_GATEWAY_PORT=tcp://10.0.0.1:80", "SSE_GATEWAY_PORT_80_TCP=tcp://10.0.0.1:80", "SSE_GATEWAY_PORT_80_TCP_PROTO=tcp",
		"SSE_GATEWAY_PORT_80_TCP_PORT=80", "SSE_GATEWAY_PORT_80_TCP_ADDR=10.0.0.1",
		"SSE_SERVICE_HOST=10.0.0.2", "SSE_SERVICE_PORT=53", "SSE_PORT_53_UDP=udp://10.0.0.2:53", "SSE_PORT_53_UDP_ADDR=10.0.0.2"}
	gatewaytest.SetEnv(t, slices.Concat(slices.Collect(maps.Keys(mistakes)), services, []string{"SSE_ADDR=:1"})...)
	want := make(map[string]string)
	for kv, meant := range mistakes {
		name, _, _ := strings.Cut(kv, "=")
		want[name] = meant
	}
	got := make(map[string]string)
	for _, u := range unknownVariables() {
		got[u.name] = u.meant
	}
	if !maps.Equal(got, want) {
		t.Errorf("unknown variables: %v, want %v", got, want)
	}
}

func TestEditDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "AB", 2}, {"AB", "", 2}, {"HEARBEAT", "HEARTBEAT", 1}, {"PORTOCOL", "PROTOCOL", 1}, {"BA", "AB", 1}, {"ABC", "CAB", 2}, {"KITTEN", "SITTING", 3}} {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q to %q: %d edits, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

// A variable that is empty counts as unset, whatever its type and default.
func TestEmptyIsUnset(t *testing.T) {
	env := []string{}
	for _, v := range Variables() {
		env = append(env, v.Name+"=")
	}
	for _, dev := range []bool{false, true} {
		required := []string{"REDIS_URL=redis://h", "SSE_JWKS_URL=https://k.example/"}
		gatewaytest.SetEnv(t, required...)
		want, err := Load(dev)
		if err != nil {
			t.Fatal(err)
		}
		gatewaytest.SetEnv(t, append(env, required...)...)
		got, err := Load(dev)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("dev %v: %v, got %+v\nwant %+v", dev, err, got, want)
		}
		if got.KeyPrefix != "sse:" {
			t.Errorf("an empty prefix opens every stream: %q", got.KeyPrefix)
		}
	}
}

func TestNoPrefixIsSpelledOut(t *testing.T) {
	for value, want := range map[string]string{"none": "", "none:": "none:", "my:": "my:"} {
		gatewaytest.SetEnv(t, "SSE_REDIS_URL=redis://h", "SSE_PUBLIC_CHANNELS=**", "SSE_KEY_PREFIX="+value)
		c, err := Load(false)
		if err != nil || c.KeyPrefix != want {
			t.Errorf("%q: %+v, %v", value, c, err)
		}
	}
}

// Two addresses of one machine may have the same port.
func TestAddressesThatGoTogether(t *testing.T) {
	for _, tt := range [][2]string{
		{"127.0.0.1:80", "127.0.0.2:80"}, {":0", ":0"}, {"127.0.0.1:0", ":0"}, {":80", ":81"}, {"[::1]:80", "127.0.0.1:80"},
	} {
		c := Config{Addr: tt[0], AdminAddr: tt[1]}
		if err := c.validateAddresses(); len(err) > 0 {
			t.Errorf("%q: %v", tt, err)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int{"1": 1, "65536": 65536, "64KiB": 64 << 10, "256 MiB": 256 << 20, "1GiB": 1 << 30, "4294967296": 1 << 32, "1024GiB": 1 << 40} {
		if s, err := parseSize(text); err != nil || int(s) != want {
			t.Errorf("%q: %d, %v, want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "-1", "1.5MiB", "1MB", "1mib", "MiB", "1KiBMiB", "1025GiB", "18446744073709551616", "0x10", "1e6"} {
		if s, err := parseSize(text); err == nil {
			t.Errorf("%q is taken as %d", text, s)
		}
	}
}
