package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/deploy/proxytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// readScript reads a stream with fetch twice, compressed and not. It prints the coding
// of each, the events as they come, and how the body ended.
const readScript = `
for (const coding of ["gzip", "identity"]) read(coding);
async function read(coding) {
	let response; // a proxy that asks the gateways in turn may come to one that is not there
	do response = await fetch(process.argv[1], {headers: {"Accept-Encoding": coding}}); while (!response.ok);
	console.log("the coding is", response.headers.get("Content-Encoding") ?? "identity");
	const text = new TextDecoder();
	try {
		for await (const chunk of response.body) process.stdout.write(text.decode(chunk, {stream: true}));
		console.log("the body ended");
	} catch (error) {
		console.log("the body failed:", error.message);
	}
}`

// startFetch reads a stream twice in Node until its end, from a gateway that compresses.
func startFetch(t *testing.T, url string) *redistest.Output {
	t.Helper()
	printed := &redistest.Output{}
	cmd := exec.Command(redistest.Command(t, "node", "nodejs"), "--input-type=module", "-e", readScript, url)
	cmd.Stdout, cmd.Stderr = printed, printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("node printed:\n%s", printed)
		}
	})
	return printed
}

// A gateway that is killed is an error to fetch, and one that drains a clean end,
// directly and behind proxies, compressed and not. Without chunks, or HTTP/2, both would
// look alike.
func TestKillIsAnErrorToFetch(t *testing.T) {
	t.Parallel()
	type front func(t *testing.T, p *gatewayProcess) proxytest.Proxy
	fronts := map[string]front{"directly": func(_ *testing.T, p *gatewayProcess) proxytest.Proxy {
		return proxytest.Proxy{HTTP1: "http://" + p.public, Kind: proxytest.Kind{TellsKill: true}}
	}}
	for name, start := range proxytest.Starters() {
		fronts[name] = func(t *testing.T, p *gatewayProcess) proxytest.Proxy { return start(t, time.Minute, behind(p)...) }
	}
	for name, front := range fronts {
		for _, end := range []struct {
			name, want string
			stop       func(p *gatewayProcess)
		}{
			{"kill", "the body failed:", func(p *gatewayProcess) { _ = p.cmd.Process.Kill() }},
			{"drain", "the body ended", func(p *gatewayProcess) { p.terminate() }},
		} {
			t.Run(name+", "+end.name, func(t *testing.T) {
				t.Parallel()
				r := redistest.Start(t)
				p := startGateway(t, gatewayEnv(r.URL(), "SSE_TRUSTED_PROXIES=127.0.0.1", "SSE_DRAIN_DELAY=0s", "SSE_DRAIN_WINDOW=1s", "SSE_COMPRESSION=gzip")...)
				p.awaitReady()
				proxy := front(t, p)
				if end.name == "kill" && !proxy.TellsKill {
					return // deploy/PROXIES.md says so
				}
				base := proxy.HTTP1
				subscribeUntil(t, transport(t, 1, nil), base+"/events?channel=a").close()
				printed := startFetch(t, base+"/events?channel=a")
				await := func(text string) {
					redistest.Eventually(t, patience, text+", twice", func() bool { return strings.Count(printed.String(), text) == 2 })
				}
				await("gateway.ready")
				r.XAdd("sse:a", "data", "before the end")
				await("before the end")
				end.stop(p)
				await("the body ")
				if got := printed.String(); strings.Count(got, end.want) != 2 || strings.Count(got, "the coding is gzip") != 1 {
					t.Errorf("want %q twice, and one stream compressed", end.want)
				}
			})
		}
	}
}
