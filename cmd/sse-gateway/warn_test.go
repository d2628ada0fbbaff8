package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// What is not wrong but hardly meant is told at the start.
func TestWarnings(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	p := startGatewayCommand(t, exec.Command("sh", "-c", `ulimit -n 500 && exec "$0"`, gatewayBinary),
		gatewayEnv(r.URL(), "SSE_HEARBEAT=5s", "SSE_MAX_CONNECTIONS=1000", "SSE_JWKS_URL=http://keys.example.test/set?k=hunter2")...)
	for what, words := range map[string][]string{
		"a variable that means nothing": {`"level":"WARN"`, "SSE_HEARBEAT means nothing to sse-gateway; did you mean SSE_HEARTBEAT?"},
		"too many connections":          {`"level":"WARN"`, "SSE_MAX_CONNECTIONS=1000 is more than the limit of open files allows, "},
		"keys over plain HTTP":          {`"level":"WARN"`, "SSE_JWKS_URL=http://keys.example.test/set?xxx is not https"},
	} {
		found := false
		for line := range strings.Lines(p.err.String()) {
			all := true
			for _, w := range words {
				all = all && strings.Contains(line, w)
			}
			found = found || all
		}
		if !found {
			t.Errorf("no warning of %s:\n%s", what, &p.err)
		}
	}
}
