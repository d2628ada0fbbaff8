package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

func TestHelp(t *testing.T) {
	for _, arg := range []string{"help", "-h", "-help", "--help"} {
		var out bytes.Buffer
		if code := exitCode(run(t.Context(), t.Context(), []string{arg}, program{out: &out, err: &out}), &out); code != 0 {
			t.Errorf("%s: exit code %d", arg, code)
		}
		lines := map[string]string{}
		for line := range strings.Lines(out.String()) {
			if name, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				lines[name] = rest
			}
		}
		for _, v := range variables() {
			line, ok := lines[v.name]
			if !ok || !strings.Contains(line, v.kind) || !strings.Contains(line, v.defaultText()) || !strings.Contains(line, v.meaning) {
				t.Errorf("%s: %s is described as %q", arg, v.name, line)
			}
		}
		for _, want := range []string{"sse-gateway dev", "version", "healthcheck", "XADD", "/events?channel="} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s says nothing of %s", arg, want)
			}
		}
	}
}

func TestVersion(t *testing.T) {
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
		setEnv(t, "SSE_ADMIN_ADDR="+set)
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
