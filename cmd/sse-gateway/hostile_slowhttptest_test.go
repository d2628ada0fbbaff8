package main

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// What slowhttptest does to a gateway, all at once: heads and bodies that do
// not end, answers that are hardly read. Honest clients do not notice.
func TestSlowHTTPTest(t *testing.T) {
	t.Parallel()
	path := redistest.Command(t, "slowhttptest", "slowhttptest")
	r := redistest.Start(t)
	p := startGateway(t, append(gatewayEnv(r.URL()), "SSE_WRITE_TIMEOUT=5s")...)
	p.awaitReady()
	h := startHonest(t, r, p, true)
	fillStream(t, r, "sse:big", 2000, 5000)
	url := p.eventsURL("channel=big&replay=all")
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	common := []string{"-c", "200", "-r", "100", "-l", "12", "-p", "5", "-u", url}
	done := make(chan struct{})
	for name, args := range map[string][]string{
		"slow heads":  {"-H", "-i", "2", "-x", "24"},
		"slow bodies": {"-B", "-i", "2", "-s", "8192", "-x", "10"},
		"slow reads":  {"-X", "-w", "512", "-y", "1024", "-n", "2", "-z", "32", "-k", "3"},
	} {
		go func() {
			defer func() { done <- struct{}{} }()
			out, err := exec.CommandContext(ctx, path, append(args, common...)...).CombinedOutput()
			text := string(out)
			if err != nil || !strings.Contains(text, "service available") || strings.Contains(lastReport(text), "NO") {
				t.Errorf("%s: %v\n%s", name, err, lastReport(text))
			}
			t.Logf("%s:\n%s", name, lastReport(text))
		}()
	}
	for range 3 {
		<-done
	}
	h.requireUndisturbed()
	p.awaitMetric(20*time.Second, 1, "sse_gateway_connections")
}

// lastReport is the last of the reports that the tool prints once a second.
func lastReport(text string) string {
	return text[max(strings.LastIndex(text, "slow HTTP test status"), 0):]
}
