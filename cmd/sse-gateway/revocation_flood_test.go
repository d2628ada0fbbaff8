package main

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/revocation"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// Any number of revocations at once, before the start and while it runs, costs a
// replica bounded memory and no more than a line of the log for each kind of loss:
// those with the latest until count. SSE_CHAOS=long has more than
// a replica keeps.
func TestChaosManyRevocations(t *testing.T) {
	t.Parallel()
	many := 20_000
	if os.Getenv("SSE_CHAOS") == "long" {
		many = 300_000
	}
	began, r := time.Now(), redistest.Start(t)
	flood := func(prefix string) {
		t.Helper()
		const script = `for i = ARGV[2], ARGV[3] do redis.call('XADD', KEYS[1], '*', 'sub', ARGV[1] .. i) if i % 10 == 0 then redis.call('XADD', KEYS[1], '*', 'subject', 'x') end end`
		const atOnce = 10_000 // a longer script would have Redis answer nobody meanwhile
		for from := 1; from < many; from += atOnce {
			r.Do("EVAL", script, "1", revocationsKey, prefix, strconv.Itoa(from), strconv.Itoa(from+atOnce-1))
		}
	}
	flood("before")
	started := time.Now()
	p := startGateway(t, revocationEnv(r.URL())...)
	redistest.Eventually(t, 240*time.Second, "it is ready", func() bool { status, _ := p.ready(); return status == http.StatusOK })
	t.Logf("ready with %d revocations after %v", many, time.Since(started))
	refused := func(subject string) bool {
		token := signIn(t, subject, "", time.Now().Add(-time.Minute))
		status, _ := fetch(t, p.eventsURL("channel=gateway"), http.Header{"Authorization": {"Bearer " + token}, "Accept": {"application/json"}})
		return status == http.StatusUnauthorized
	}
	last := strconv.Itoa(many)
	if !refused("before"+last) || refused("innocent") {
		t.Error("it is ready, and lets in who was revoked, or nobody else")
	}
	flood("while")
	redistest.Eventually(t, 240*time.Second, "what comes while it runs counts", func() bool { return refused("while" + last) })
	want := float64(min(2*many, revocation.MaxRevocations))
	p.awaitMetric(patience, want, "sse_gateway_revocations")
	p.awaitMetric(patience, float64(2*many)-want, "sse_gateway_revocations_lost_total", "dropped")
	p.awaitMetric(patience, float64(2*(many/10)), "sse_gateway_revocations_lost_total", "useless")
	lines, most := 0, 4+2*int(time.Since(began)/(10*time.Second)) // of two kinds, each at most every 10 s
	for line := range strings.Lines(p.err.String()) {
		if strings.Contains(line, "are no use") || strings.Contains(line, "than a replica keeps") {
			lines++
		}
	}
	t.Logf("%d revocations, %d lines of the log, %.1f MB resident", 2*many, lines, p.metric("process_resident_memory_bytes")/1e6)
	if lines == 0 || lines > most {
		t.Errorf("the log has %d lines about them, want 1 to %d", lines, most)
	}
}
