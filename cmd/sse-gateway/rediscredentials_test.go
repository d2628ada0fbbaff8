package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func writePassword(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Credentials that are given twice, or to no Redis, are a mistake that names the
// variables and shows no password.
func TestWrongRedisCredentials(t *testing.T) {
	dir := t.TempDir()
	file, empty := filepath.Join(dir, "password"), filepath.Join(dir, "empty")
	writePassword(t, file, "hunter2\n")
	writePassword(t, empty, "\n")
	for name, tt := range map[string]struct {
		args, env []string
		want      string
	}{
		"two users":     {nil, []string{"SSE_REDIS_URL=redis://u:@h", "SSE_REDIS_USERNAME=bob", "SSE_REDIS_PASSWORD_FILE=" + file}, "the user name is in the URL as well"},
		"two passwords": {nil, []string{"REDIS_URL=redis://:hunter2@h", "SSE_REDIS_PASSWORD_FILE=" + file}, "the password is in the URL as well"},
		"no password":   {nil, []string{"SSE_REDIS_URL=redis://h", "SSE_REDIS_USERNAME=bob"}, "needs a password"},
		"empty":         {nil, []string{"SSE_REDIS_URL=redis://h", "SSE_REDIS_PASSWORD_FILE=" + empty}, empty + " is empty"},
		"no Redis":      {[]string{"dev"}, []string{"SSE_REDIS_PASSWORD_FILE=" + file}, "set SSE_REDIS_URL as well"},
	} {
		t.Run(name, func(t *testing.T) {
			want := []string{tt.want}
			for _, v := range tt.env {
				if variable, value, _ := strings.Cut(v, "="); !strings.Contains(variable, "URL") {
					want = append(want, variable+`="`+value+`"`)
				}
			}
			requireUsageError(t, tt.args, append(tt.env, "SSE_PUBLIC_CHANNELS=**"), want...)
		})
	}
}

// A gateway whose connections are cut after a rotation logs in with what is in
// the file then, and writes neither the old password nor the new one.
func TestRedisPasswordFile(t *testing.T) {
	t.Parallel()
	hidden := secrets{"old-hunter2", "new-hunter2"}
	r := redistest.Start(t, redistest.WithUser(shippedUser(t, "old-hunter2")))
	file := filepath.Join(t.TempDir(), "redis-password")
	writePassword(t, file, "old-hunter2\n")
	p := startGateway(t, gatewayEnv("redis://"+r.Addr(), "SSE_REDIS_USERNAME=gateway", "SSE_REDIS_PASSWORD_FILE="+file, "SSE_LOG_LEVEL=debug")...)
	up := func() bool { return p.metric("sse_gateway_tail_up") == 1 }
	redistest.Eventually(t, patience, "Redis is followed", up)

	r.Do("ACL", "SETUSER", "gateway", "resetpass", ">new-hunter2")
	kill := func() {
		if r.KillClients(func(c map[string]string) bool { return c["user"] == "gateway" }) == 0 {
			t.Error("nobody was logged in as gateway")
		}
	}
	kill()
	redistest.Eventually(t, patience, "the old password is refused", func() bool { return strings.Contains(p.err.String(), "WRONGPASS") })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, patience, "the log names the file", func() bool { return strings.Contains(p.err.String(), file+": no such file") })
	sessions := p.metric("sse_gateway_tail_sessions_total")
	writePassword(t, file, "new-hunter2\n")
	redistest.Eventually(t, patience, "the new password is used", func() bool { return p.metric("sse_gateway_tail_sessions_total") > sessions && up() })
	p.terminate()
	<-p.exited
	hidden.requireNone(t, "the log", p.out.String()+p.err.String())
}
