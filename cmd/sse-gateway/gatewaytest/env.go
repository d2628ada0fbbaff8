package gatewaytest

import (
	"os"
	"strings"
	"testing"
)

// SetEnv sets the process's environment to nothing that the gateway reads but
// what is given. Tests that use it cannot be parallel.
func SetEnv(t *testing.T, env ...string) {
	t.Helper()
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "SSE_") || name == "REDIS_URL" {
			t.Setenv(name, "") // so that it is there again at the end
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
}
