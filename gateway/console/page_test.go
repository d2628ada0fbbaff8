package console

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/sse-gateway/sse-gateway/gateway/console/browsertest"
)

// rows counts rows of the event list by their class.
func rows(class string) string {
	return fmt.Sprintf(`document.querySelectorAll("#events .row.%s").length`, class)
}

// TestPage drives the page in a real browser. Each subtest has a tab of its
// own, which must not say a word on its console.
func TestPage(t *testing.T) {
	chromium := browsertest.Start(t)
	for name, test := range map[string]func(*testing.T, *tab){
		"connect, receive, disconnect": testConnect,
		"named events natively":        testNative,
		"hostile text":                 testHostile,
		"gap":                          testGap,
		"reconnect loses nothing":      testReconnect,
		"refused":                      testRefused,
		"bad channels":                 testBadChannels,
		"no EventSource":               testNoEventSource,
		"resume lab":                   testLab,
		"publish":                      testPublish,
		"bounded and paused":           testBounded,
		"keyboard":                     testKeyboard,
		"long names":                   testLongNames,
		"channels":                     testChannelTable,
		"connects by itself":           testConnectsByItself,
		"focus":                        testFocus,
	} {
		t.Run(name, func(t *testing.T) { test(t, newTab(t, chromium)) })
	}
}

func testConnect(t *testing.T, tb *tab) {
	url, gateway := serve(t, Options{KeyPrefix: "sse:", DefaultChannels: []string{"orders"}})
	tb.open(url)
	if got := tb.text("#xadd"); got != "redis-cli XADD sse:orders '*' data hello" {
		t.Errorf("the command is %q", got)
	}
	tb.connect("orders, alerts")
	id := gateway.add("orders", "", "hello")
	tb.until(rows("event") + ` === 1`)
	gateway.add("alerts", "anything", "named")
	tb.until(rows("event") + ` === 2`)
	if got := tb.text("#events .row.event:nth-of-type(2)"); !strings.Contains(got, "orders") || !strings.Contains(got, "hello") || !strings.Contains(got, id) {
		t.Errorf("the first event's row is %q", got)
	}
	if got := tb.text("#events .row.event:nth-of-type(1)"); !strings.Contains(got, "anything") || !strings.Contains(got, "alerts") {
		t.Errorf("the second event's row is %q", got)
	}
	tb.until(`document.querySelector("#received").innerText === "2"`)
	tb.click("#disconnect")
	tb.until(`document.querySelector("#state").dataset.state === "closed"`)
	gateway.add("orders", "", "unseen")
	// On a new connection from the last id the unseen one comes first.
	tb.fill("#start-kind", "id")
	tb.click("#connect")
	tb.until(rows("event") + ` === 3`)
	if got := tb.text("#events .row.event"); !strings.Contains(got, "unseen") {
		t.Errorf("after the last id came %q", got)
	}
}

func testNative(t *testing.T, tb *tab) {
	url, gateway := serve(t, Options{})
	tb.open(url)
	tb.click("summary")
	eval[bool](tb, `(document.querySelector("input[value=native]").click(), true)`)
	tb.fill("#names", "message, ping, error, gateway.*")
	tb.connect("demo")
	gateway.add("demo", "unlisted", "not heard")
	gateway.add("demo", "ping", "one")
	gateway.add("demo", "error", "two")
	gateway.add("demo", "", "three")
	tb.until(rows("event") + ` === 3`)
	names := eval[[]string](tb, `[...document.querySelectorAll("#events .row.event .name")].map((n) => n.innerText)`)
	if want := []string{"message", "error", "ping"}; !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	tb.click("#events .row.event")
	if got := tb.text("#inspector-raw"); !strings.Contains(got, "EventSource does not show") {
		t.Errorf("raw frame %q", got)
	}
}

// testHostile writes to the page what would run if any of it were HTML.
func testHostile(t *testing.T, tb *tab) {
	url, gateway := serve(t, Options{
		KeyPrefix: `</script><img src=x onerror="window.hit=1">`, RedisHint: `<b onclick=x>`,
		DefaultChannels: []string{`<img src=x onerror="window.hit=2">`}, Dev: true,
		Channels: func() any { return channelsAnswer(`<img src=x onerror="window.hit=3">`) },
	})
	tb.open(url + `/#channel=%3Cimg%20src=x%20onerror=window.hit=4%3E&start=id:%3Cb%3E`)
	before := eval[int](tb, `document.images.length`)
	tb.fill("#start-kind", "now")
	tb.connect("demo")
	image := `<img src=x onerror="window.hit=5"></script><script>window.hit=6</script>`
	gateway.add("demo", image, image)
	gateway.add("demo", "", "line\u2028separator\u0000nul\u202Ereversed\uFEFF")
	gateway.add("demo", "gateway.gap", fmt.Sprintf(`{"channel":%q,"after":%q,"resumed":%q,"reason":%q}`, image, image, image, image))
	gateway.add("demo", "gateway.ready", image)
	tb.until(rows("ready") + ` === 2 && ` + rows("gap") + ` === 1`)
	for i := range eval[int](tb, `document.querySelectorAll("#events .row").length`) {
		eval[bool](tb, fmt.Sprintf(`(document.querySelectorAll("#events .row")[%d].click(), true)`, i))
	}
	tb.fill("#channels", "demo")
	eval[bool](tb, `(document.querySelectorAll(".row.event")[1].click(), true)`)
	if got := tb.text("#inspector-data"); got != image {
		t.Errorf("the data is shown as %q", got)
	}
	if got := tb.text(".row.event .data"); got != `line\u2028separator\u0000nul\u202ereversed\ufeff` {
		t.Errorf("hidden characters are shown as %q", got)
	}
	tb.click("#tab-channels")
	tb.until(`document.querySelector("#channel-rows").innerText.includes("window.hit=3")`)
	// A picture that cannot load says so after the frame that shows it.
	eval[bool](tb, `(requestAnimationFrame(() => requestAnimationFrame(() => { window.drawn = true })), true)`)
	tb.until(`window.drawn === true`)
	if eval[bool](tb, `"hit" in window`) || eval[int](tb, `document.images.length`) != before {
		t.Error("text from outside became part of the page")
	}
}

func testGap(t *testing.T, tb *tab) {
	url, gateway := serve(t, Options{})
	for i := range 10 {
		gateway.add("demo", "", fmt.Sprint("event ", i))
	}
	gateway.trim("demo", 2)
	tb.open(url)
	tb.fill("#start-kind", "id")
	tb.fill("#start-value", "1-0")
	tb.connect("demo")
	tb.until(rows("gap") + ` === 1 && ` + rows("event") + ` === 2`)
	got := tb.text("#events .row.gap")
	for _, want := range []string{"Gap: trimmed", "demo", "after 1-0", "resumed at 2-8", "Retention removed"} {
		if !strings.Contains(got, want) {
			t.Errorf("the gap's row %q lacks %q", got, want)
		}
	}
	tb.until(`document.querySelector("#gaps").innerText === "1"`)
	if said := tb.text("#announcer"); !strings.Contains(said, "Gap.") {
		t.Errorf("a screen reader hears %q", said)
	}
}

func testReconnect(t *testing.T, tb *tab) {
	url, gateway := serve(t, Options{})
	tb.open(url)
	tb.connect("a, b")
	last := ""
	for i := range 3 {
		gateway.add("a", "", fmt.Sprint("before ", i))
		gateway.add("b", "", fmt.Sprint("before ", i))
	}
	tb.until(rows("event") + ` === 6`)
	gateway.endStreams()
	for i := range 3 {
		last = gateway.add("b", "", fmt.Sprint("after ", i))
	}
	tb.until(rows("event") + ` === 9`)
	ids := eval[[]string](tb, `[...document.querySelectorAll("#events .row.event .id")].map((n) => n.textContent)`)
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 9 || !slices.Contains(ids, last) {
		t.Errorf("ids %q are not nine different ones with %s", ids, last)
	}
	headers := gateway.subscriptions()
	if id := headers[len(headers)-1].Get("Last-Event-ID"); strings.Count(id, "~") != 2 {
		t.Errorf("the page resumed with Last-Event-ID %q", id)
	}
}

func testRefused(t *testing.T, tb *tab) {
	url, gateway := serve(t, Options{})
	tb.open(url)
	tb.fill("#channels", "forbidden")
	tb.click("#connect")
	tb.until(`document.querySelector("#detail").innerText.startsWith("Refused: 403 Forbidden. the token does not allow <b>")`)
	tb.expectNoise() // the browser itself logs a failed request
	tb.click("summary")
	tb.fill("#token", "sesame")
	tb.connect("demo")
	headers := gateway.subscriptions()
	if got := headers[len(headers)-1].Get("Authorization"); got != "Bearer sesame" {
		t.Errorf("Authorization %q", got)
	}
	if strings.Contains(eval[string](tb, `location.href + document.body.innerText`), "sesame") {
		t.Error("the page shows the token")
	}
}

func testBadChannels(t *testing.T, tb *tab) {
	url, gateway := serve(t, Options{})
	tb.open(url)
	for _, bad := range []string{"", "a b*", "<b>", strings.Repeat("x", 201)} {
		tb.fill("#channels", bad)
		tb.click("#connect")
		tb.until(`document.querySelector("#channels").getAttribute("aria-invalid") === "true"`)
		tb.until(`document.activeElement.id === "channels" && !document.querySelector("#channels-problem").hidden`)
	}
	if n := len(gateway.subscriptions()); n != 0 {
		t.Errorf("%d subscriptions to no channel", n)
	}
}

func testNoEventSource(t *testing.T, tb *tab) {
	url, gateway := serve(t, Options{})
	tb.open(url, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, cdppage.AddScriptToEvaluateOnNewDocument,
			cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: "delete window.EventSource"})
		return err
	}))
	tb.run(chromedp.WaitVisible(chromedp.CSS("#no-eventsource")))
	tb.connect("demo")
	gateway.add("demo", "", "without it")
	tb.until(rows("event") + ` === 1`)
}
