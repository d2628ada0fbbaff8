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
		gatewayEnv(r.URL(), "SSE_HEARBEAT=5s", "SSE_MAX_CONNECTIONS=1000")...)
	for what, words := range map[string][]string{
		"a variable that means nothing": {`"level":"WARN"`, "means nothing to sse-gateway", `"SSE_HEARBEAT"`, `"did_you_mean":"SSE_HEARTBEAT"`},
		"too many connections":          {`"level":"WARN"`, "more than the limit of open files", "1000"},
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
