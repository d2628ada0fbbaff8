package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/gatewaytest"
	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
)

// runHelp returns what a call prints that is to succeed.
func runHelp(t *testing.T, args ...string) string {
	t.Helper()
	gatewaytest.SetEnv(t, "SSE_HEARTBEAT=wrong") // help is there for whoever has a wrong configuration
	var out bytes.Buffer
	if code := exitCode(run(t.Context(), t.Context(), args, program{out: &out, err: &out}), &out); code != 0 {
		t.Errorf("%q: exit code %d, %s", args, code, &out)
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 100 {
			t.Errorf("%q: a line of %d columns: %s", args, n, line)
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"-h"}, {"-help"}, {"--help"}, {"help", "-h"}, {"help", "help"}} {
		text := runHelp(t, args...)
		group := ""
		for _, v := range config.Variables() {
			entry := v.Name + " " + v.Kind + ", default " + v.Default() + " " + v.Meaning
			if v.Group != group {
				group, entry = v.Group, v.Group+" "+entry
			}
			if !strings.Contains(text, entry) {
				t.Errorf("%q: there is no %q", args, entry)
			}
		}
		for _, c := range commands() {
			if !strings.Contains(text, "sse-gateway "+c.name+" ") {
				t.Errorf("%q says nothing of %s", args, c.name)
			}
		}
		for _, want := range []string{"XADD", "/events?channel=", "Exit codes", "Signals", "SIGTERM"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q says nothing of %s", args, want)
			}
		}
	}
}

func TestHelpOfCommands(t *testing.T) {
	for _, c := range commands() {
		first := runHelp(t, "help", c.name)
		for _, flag := range helpFlags {
			if text := runHelp(t, c.name, flag); text != first {
				t.Errorf("%s %s differs from help %s", c.name, flag, c.name)
			}
		}
		if c.name != "help" && !strings.HasPrefix(first, "sse-gateway "+c.name+" ") || strings.Contains(first, "SSE_HEARTBEAT") != (c.variables || c.name == "help") {
			t.Errorf("help %s: %s", c.name, first)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, flag := range versionFlags {
		if runHelp(t, flag) != runHelp(t, "version") {
			t.Errorf("%s is not version", flag)
		}
	}
	code, out, _ := runProgram(t, nil, "version")
	if code != 0 || !strings.HasPrefix(out, "sse-gateway ") || strings.Count(out, "\n") != 1 ||
		!strings.Contains(out, runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH) {
		t.Errorf("exit code %d, %q", code, out)
	}
}

// The whole way of a mistake, through main.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		env  []string
		code int
		want string
	}{
		{nil, nil, 2, "SSE_REDIS_URL is not set"},
		{[]string{"serve"}, []string{"SSE_HEARTBEAT=x"}, 2, `SSE_HEARTBEAT="x": accepted is a duration`},
		{[]string{"nothing"}, nil, 2, "unknown command"},
		{[]string{"healthcheck"}, []string{"SSE_ADMIN_ADDR=127.0.0.1:1"}, 1, "connection refused"},
	} {
		code, out, stderr := runProgram(t, tt.env, tt.args...)
		if code != tt.code || out != "" || !strings.HasPrefix(stderr, "sse-gateway: ") || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q %q: exit code %d, printed %q, %q", tt.args, tt.env, code, out, stderr)
		}
	}
}

func TestHealthcheck(t *testing.T) {
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(status)
	}))
	defer s.Close()
	addr := s.Listener.Addr().String()
	_, port, _ := strings.Cut(addr, ":")
	for _, set := range []string{addr, ":" + port, "0.0.0.0:" + port, "[::]:" + port, "localhost:" + port} {
		gatewaytest.SetEnv(t, "SSE_ADMIN_ADDR="+set)
		if err := run(t.Context(), t.Context(), []string{"healthcheck"}, program{}); err != nil {
			t.Errorf("%s: %v", set, err)
		}
	}
	status = http.StatusServiceUnavailable
	if code, printed := runFailing(t, []string{"healthcheck"}, "SSE_ADMIN_ADDR="+addr); code != 1 || !strings.Contains(printed, "503") {
		t.Errorf("not healthy: exit code %d, %q", code, printed)
	}
}

// A proxy of the environment has nothing to say about the gateway's health. The
// test's own address is LOCALHOST because Go asks no proxy for localhost.
func TestHealthcheckAsksNoProxy(t *testing.T) {
	t.Parallel()
	healthy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer healthy.Close()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the proxy was asked for %s", r.URL)
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	_, port, _ := strings.Cut(healthy.Listener.Addr().String(), ":")
	code, _, stderr := runProgram(t, []string{"SSE_ADMIN_ADDR=LOCALHOST:" + port, "HTTP_PROXY=" + proxy.URL}, "healthcheck")
	if code != 0 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
