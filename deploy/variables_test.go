package deploy_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// balancerVariables are those that the load balancers' configurations read.
func balancerVariables() []string {
	return strings.Fields(`
		SSE_LB_BIND SSE_LB_H2C_BIND SSE_LB_METRICS_BIND SSE_LB_IDLE_TIMEOUT SSE_LB_RUN_DIR
		SSE_LB_HOST SSE_LB_PORT SSE_LB_IDLE_SECONDS SSE_LB_CONF_DIR SSE_GATEWAY_ADMIN
		SSE_GATEWAY_1_HOST SSE_GATEWAY_1_PORT SSE_GATEWAY_2_HOST SSE_GATEWAY_2_PORT SSE_GATEWAY_3_HOST SSE_GATEWAY_3_PORT
		SSE_GATEWAY_1 SSE_GATEWAY_2 SSE_GATEWAY_3
		SSE_GATEWAY_1_ADMIN SSE_GATEWAY_2_ADMIN SSE_GATEWAY_3_ADMIN`)
}

var sseVariable = regexp.MustCompile(`\bSSE_[A-Z0-9_]*[A-Z0-9]\b`)

// A variable that is misspelt, or was renamed, would be set to no effect. So
// even comments may only name those that exist.
func TestEveryVariableIsKnown(t *testing.T) {
	known := append(gatewayVariables(t), balancerVariables()...)
	paths := append(pages(t), composePath, "Dockerfile")
	for _, dir := range []string{"apache", "caddy", "grafana", "haproxy", "kubernetes", "nginx", "prometheus", "redis", "systemd", "varnish"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	found := 0
	for _, path := range paths {
		for _, name := range sseVariable.FindAllString(read(t, path), -1) {
			found++
			if !slices.Contains(known, name) {
				t.Errorf("%s: nothing reads %s", path, name)
			}
		}
	}
	if found == 0 {
		t.Error("no variable found: the test looks in the wrong place")
	}
}

// requireGatewayVariables checks what is set for a gateway: its own variables
// and those of the Go runtime.
func requireGatewayVariables(t *testing.T, where string, set map[string]string) {
	t.Helper()
	known := append(gatewayVariables(t), "GOMEMLIMIT", "GOGC", "GOMAXPROCS")
	for name := range set {
		if !slices.Contains(known, name) {
			t.Errorf("%s: the gateway does not read %s", where, name)
		}
	}
	for _, name := range []string{"SSE_DRAIN_DELAY", "SSE_DRAIN_WINDOW"} {
		if set[name] == "" {
			t.Errorf("%s: %s is not set, so that the time to stop cannot be checked against it", where, name)
		}
	}
}
