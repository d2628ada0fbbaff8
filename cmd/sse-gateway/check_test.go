package main

import (
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, redistest.WithPassword("hunter2"), redistest.WithUser(shippedUser(t, "s3cret")),
		redistest.WithUser("blind on >s3cret resetkeys -@all +ping +info"))
	secret := "SSE_JWT_SECRET=" + strings.Repeat("hunter2", 5)
	code, out, stderr := runProgram(t, []string{"SSE_REDIS_URL=" + r.URLAs("gateway", "s3cret"), secret, "SSE_AUTH_URL=http://a.example/?k=hunter2",
		"SSE_KEY_PREFIX=sse:", "SSE_HEARBEAT=1s"}, "check")
	if code != 0 || !strings.Contains(stderr, "did you mean SSE_HEARTBEAT?") {
		t.Errorf("exit code %d: %s%s", code, out, stderr)
	}
	for _, want := range []string{"SSE_HEARTBEAT=15s\n", "SSE_JWT_SECRET=***\n", "SSE_LOG_LEVEL=info\n", "SSE_KEY_PREFIX=sse:\n", "redis 7.", "CLIENT TRACKING: yes", "rights: enough", "is good"} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing of %q:\n%s", want, out)
		}
	}
	if s := out + stderr; strings.Contains(s, "hunter2") || strings.Contains(s, "s3cret") {
		t.Errorf("a secret is printed:\n%s", s)
	}
	for name, tt := range map[string]struct {
		env  []string
		want string
	}{
		"rights":        {[]string{"SSE_REDIS_URL=" + r.URLAs("blind", "s3cret"), "SSE_PUBLIC_CHANNELS=**"}, "NOPERM"},
		"password":      {[]string{"SSE_REDIS_URL=" + r.URLAs("gateway", "wrong"), "SSE_PUBLIC_CHANNELS=**"}, "WRONGPASS"},
		"nobody there":  {[]string{"SSE_REDIS_URL=redis://127.0.0.1:1", "SSE_PUBLIC_CHANNELS=**"}, "refused"},
		"configuration": {[]string{"SSE_REDIS_URL=" + r.URLAs("gateway", "s3cret")}, "nobody may subscribe"},
	} {
		code, out, stderr := runProgram(t, tt.env, "check")
		if code != 2 || !strings.Contains(stderr, tt.want) || strings.Contains(out, "is good") {
			t.Errorf("%s: exit code %d: %s%s", name, code, out, stderr)
		}
	}
}

func TestCheckOfCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 0)
	code, out, stderr := runProgram(t, []string{"SSE_REDIS_URL=" + c.URL(), "SSE_PUBLIC_CHANNELS=**"}, "check")
	if code != 0 || strings.Count(out, "CLIENT TRACKING: yes") != 3 {
		t.Errorf("exit code %d: %s%s", code, out, stderr)
	}
}
