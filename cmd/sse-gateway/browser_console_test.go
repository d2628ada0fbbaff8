package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sse-gateway/sse-gateway/gateway"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// openConsole opens the gateway's own page.
func openConsole(t *testing.T, browser context.Context, p *gatewayProcess) *browserTab {
	t.Helper()
	tb := openTab(t, browser, "http://"+p.public+"/")
	tb.until(browserPatience, `document.documentElement.dataset.ready === ""`)
	return tb
}

// fill replaces a field's text as typing does.
func (tb *browserTab) fill(selector, text string) {
	tb.t.Helper()
	evaluate[bool](tb, fmt.Sprintf(`(() => { const f = document.querySelector(%q); f.value = %q;
		f.dispatchEvent(new Event("input", {bubbles: true})); f.dispatchEvent(new Event("change", {bubbles: true})); return true })()`, selector, text))
}

func (tb *browserTab) click(selector string) {
	tb.t.Helper()
	tb.run(chromedp.Click(chromedp.CSS(selector)))
}

// connect subscribes the console's page.
func (tb *browserTab) connect(channels string) {
	tb.t.Helper()
	tb.fill("#channels", channels)
	tb.click("#connect")
	tb.awaitOpen()
}

func (tb *browserTab) awaitOpen() {
	tb.t.Helper()
	tb.until(browserPatience, `document.querySelector("#state").dataset.state === "open"`)
}

// shown returns the data of the events that the page lists, the newest first.
func (tb *browserTab) shown() []string {
	tb.t.Helper()
	return evaluate[[]string](tb, `[...document.querySelectorAll("#events .row.event .data")].map((n) => n.textContent)`)
}

func (tb *browserTab) awaitShown(want ...string) {
	tb.t.Helper()
	slices.Reverse(want)
	tb.until(browserPatience, fmt.Sprintf(`document.querySelectorAll("#events .row.event").length >= %d`, len(want)))
	if got := tb.shown(); !slices.Equal(got, want) {
		tb.t.Errorf("the page shows %q, want %q", got, want)
	}
}

// requireQuiet checks that the page had nothing to complain about: no error and
// no refusal by its policy. What the browser itself says of a gateway that is
// down is left out.
func (tb *browserTab) requireQuiet() {
	tb.t.Helper()
	for _, line := range tb.takeNoise() {
		if !strings.Contains(line, "ERR_CONNECTION_REFUSED") && !strings.Contains(line, "ERR_INCOMPLETE_CHUNKED_ENCODING") &&
			!strings.Contains(line, "ERR_CONNECTION_RESET") && !strings.Contains(line, "ERR_EMPTY_RESPONSE") {
			tb.t.Errorf("the page's console: %s", line)
		}
	}
}

// The console of a gateway in production: it receives, survives the gateway's
// sudden end without a loss or a repeat, tells of a gap, and shows no more than
// anyone may know.
func testConsole(t *testing.T, browser context.Context) {
	r := redistest.Start(t)
	env := append(append(gatewayEnv(r.URL()), "SSE_CONSOLE=true", "SSE_PUBLIC_CHANNELS=orders,alerts", "SSE_RETRY=200ms",
		"SSE_JWT_SECRET="+corsSecret, "SSE_JWT_QUERY_PARAM=token"), fixedPorts(t)...)
	p := startGateway(t, env...)
	requireConsoleHeaders(t, p)
	requireAdminIsPrivate(t, p)
	tb := openConsole(t, browser, p)
	if got := evaluate[bool](tb, `document.querySelector("#publish-form").hidden && document.querySelector("#dev-note").hidden`); !got {
		t.Error("in production the page offers to publish, or says that it is for development")
	}
	tb.connect("orders, alerts")
	r.XAdd("sse:orders", "data", "one")
	tb.awaitShown("one") // between two channels there is no order
	r.XAdd("sse:alerts", "data", "two")
	tb.awaitShown("one", "two")

	p.kill()
	for _, data := range []string{"three", "four", "five"} {
		r.XAdd("sse:orders", "data", data)
	}
	p = startGateway(t, env...)
	tb.awaitShown("one", "two", "three", "four", "five")
	testConsoleStats(t, r, p, tb)

	p.kill()
	for i := range 20 {
		r.XAdd("sse:orders", "data", fmt.Sprint("trimmed ", i))
	}
	r.Do("XTRIM", "sse:orders", "MAXLEN", 0)
	r.XAdd("sse:orders", "data", "six")
	startGateway(t, env...)
	tb.until(browserPatience, `document.querySelectorAll("#events .row.gap").length === 1`)
	tb.until(browserPatience, `document.querySelectorAll("#events .row.event .data")[0].textContent === "six"`)
	if got := evaluate[string](tb, `document.querySelector("#events .row.gap").innerText`); !strings.Contains(got, "trimmed") || !strings.Contains(got, "orders") {
		t.Errorf("the gap is shown as %q", got)
	}
	tb.requireQuiet()
}

// testConsoleStats checks that the charts have figures, and that channels which
// need a token are not named to the page.
func testConsoleStats(t *testing.T, r *redistest.Server, p *gatewayProcess, tb *browserTab) {
	t.Helper()
	subscribe(t, transport(t, 1, nil), p.eventsURL("channel=private&token="+signedToken(t))).ready(t)
	r.XAdd("sse:private", "data", "x")
	redistest.Eventually(t, patience, "figures that are not those of a moment ago", func() bool {
		status, body := fetch(t, "http://"+p.public+"/console/stats", nil)
		var stats struct {
			Connections, Deliveries int
			Latency                 struct{ Count int }
		}
		if err := json.Unmarshal([]byte(body), &stats); err != nil || status != http.StatusOK || strings.Contains(body, "private") {
			t.Fatalf("/console/stats answers %d %s: %v", status, body, err)
		}
		status, body = fetch(t, "http://"+p.public+"/console/channels", nil)
		var served gateway.ChannelList
		if err := json.Unmarshal([]byte(body), &served); err != nil || status != http.StatusOK || strings.Contains(body, "private") {
			t.Fatalf("/console/channels answers %d %s: %v", status, body, err)
		}
		return stats.Connections == 2 && served.Total == 2 && served.Channels[0].Subscribers == 1 && served.Channels[0].Position != ""
	})
	tb.until(browserPatience, `document.querySelector("#value-connections").innerText === "2"`)
	tb.until(browserPatience, `document.querySelectorAll("#chart-connections path, #chart-connections polyline").length > 0`)
	tb.until(browserPatience, `/^\d/.test(document.querySelector("#value-deliveries").innerText)`)
	tb.click("#tab-channels")
	tb.until(browserPatience, `document.querySelector("#channel-rows").innerText.includes("alerts")`)
	if got := evaluate[string](tb, `document.body.innerText`); strings.Contains(got, "private") {
		t.Error("the page names a channel that is not public")
	}
	tb.click("#tab-events")
}

// requireConsoleHeaders checks what keeps the page from being abused.
func requireConsoleHeaders(t *testing.T, p *gatewayProcess) {
	t.Helper()
	res, _, err := fetchResponse("http://"+p.public+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	policy := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "script-src 'self';"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("the page's headers are %v", res.Header)
	}
}

// requireAdminIsPrivate checks that nothing of the admin listener is reached
// through the public one, however it is spelled.
func requireAdminIsPrivate(t *testing.T, p *gatewayProcess) {
	t.Helper()
	for _, path := range []string{"/metrics", "/readyz", "/healthz", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/metrics/", "//metrics",
		"/./metrics", "/events/../metrics", "/console/../metrics", "/console/..%2fmetrics", "/%6detrics", "/console/publish", "/console/"} {
		for _, host := range []string{p.public, p.admin} {
			res, body, err := fetchResponse("http://"+p.public+path, http.Header{"X-Forwarded-Host": {host}, "X-Original-Url": {"/metrics"}})
			if err != nil {
				t.Fatal(err)
			}
			moved := res.StatusCode/100 == 3 && !strings.Contains(res.Header.Get("Location"), p.admin) // to a cleaner path, which is 404
			if res.StatusCode != http.StatusNotFound && !moved || strings.Contains(body, "sse_gateway_") || strings.Contains(body, "goroutine") {
				t.Errorf("%s on the public port answers %d %.100s", path, res.StatusCode, body)
			}
		}
	}
}

// The console of dev can publish, too.
func testConsoleDev(t *testing.T, browser context.Context) {
	r := redistest.Start(t)
	env := append(append(gatewayEnv(r.URL()), "SSE_RETRY=200ms"), fixedPorts(t)...)
	dev := func() *gatewayProcess { return startGatewayCommand(t, exec.Command(gatewayBinary, "dev"), env...) }
	p := dev()
	requireAdminOnPublicIs404(t, p)
	tb := openConsole(t, browser, p)
	tb.awaitOpen() // by itself
	tb.connect("orders")
	tb.click("#clear") // what came of the channel demo
	tb.fill("#publish-channel", "orders")
	tb.fill("#publish-event", "created")
	tb.fill("#publish-data", "<b>from the page</b>\nline two")
	tb.click("#publish-form button")
	tb.until(browserPatience, `/^Written as \d+-\d+$/.test(document.querySelector("#publish-result").innerText)`)
	tb.until(browserPatience, `document.querySelectorAll("#events .row.event").length === 1`)
	entries, err := r.Client().XRange(t.Context(), "sse:orders", "-", "+").Result()
	if err != nil || len(entries) != 1 || entries[0].Values["data"] != "<b>from the page</b>\nline two" || entries[0].Values["event"] != "created" {
		t.Errorf("in Redis are %v, %v", entries, err)
	}
	p.kill()
	id := r.XAdd("sse:orders", "data", "while it was away")
	dev()
	tb.until(browserPatience, `document.querySelectorAll("#events .row.event").length === 2`)
	if got := evaluate[string](tb, `document.querySelector("#events .row.event .id").textContent`); got != id {
		t.Errorf("after the restart came %s, want %s", got, id)
	}
	tb.requireQuiet()
}

func requireAdminOnPublicIs404(t *testing.T, p *gatewayProcess) {
	t.Helper()
	for _, path := range []string{"/metrics", "/readyz", "/debug/pprof/"} {
		if status, _ := fetch(t, "http://"+p.public+path, nil); status != http.StatusNotFound {
			t.Errorf("%s on the public port answers %d", path, status)
		}
	}
}
