package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// answer is a ResponseWriter that keeps what was written.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.body = append(a.body, p...)
	return len(p), nil
}

func (r *rig) admin(t *testing.T, method, path string) *answer {
	t.Helper()
	req, err := http.NewRequest(method, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &answer{header: http.Header{}}
	r.g.AdminHandler(r.registry).ServeHTTP(a, req)
	return a
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	redistest.Eventually(t, patience, "readiness", func() bool { ready, _ := r.ready(t); return ready })
	for path, want := range map[string]string{
		"/healthz":                       `{"healthy":true}`,
		"/metrics":                       "sse_gateway_connections 0",
		"/debug/pprof/":                  "goroutine",
		"/debug/pprof/goroutine?debug=1": "goroutine profile",
		"/debug/pprof/cmdline":           "test",
	} {
		if a := r.admin(t, http.MethodGet, path); a.status != http.StatusOK || !strings.Contains(string(a.body), want) {
			t.Errorf("%s: %d, %.200s", path, a.status, a.body)
		}
		if a := r.admin(t, http.MethodPost, path); a.status != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, a.status)
		}
	}
	for _, path := range []string{"/", "/events?channel=a", "/healthz/x"} {
		if a := r.admin(t, http.MethodGet, path); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	r.redis.Kill()
	redistest.Eventually(t, patience, "unreadiness", func() bool { ready, reason := r.ready(t); return !ready && reason != "" })
	if a := r.admin(t, http.MethodGet, "/healthz"); a.status != http.StatusOK {
		t.Errorf("without Redis the process is not healthy: %d", a.status)
	}
}
