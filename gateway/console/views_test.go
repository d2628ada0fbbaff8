package console

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func testLab(t *testing.T, tb *tab) {
	url, gateway := serve(t, Options{KeyPrefix: "sse:"})
	for i := range 20 {
		gateway.add("a", "", fmt.Sprint("old ", i))
	}
	tb.open(url)
	tb.fill("#channels", "b, a")
	tb.click("#tab-lab")
	tb.click("#lab-start")
	here := `document.querySelector("#lab-state").dataset.state === "open"`
	tb.until(here)
	gateway.add("a", "", "both see it")
	tb.until(`document.querySelectorAll("#lab-reader-list .row.event").length === 1`)
	tb.click("#lab-leave")
	gateway.add("b", "ping", "missed 1")
	gateway.add("a", "", "missed 2")
	tb.until(`document.querySelector("#lab-verdict").innerText.includes("has seen 2 events")`)
	tb.click("#lab-return")
	tb.until(`document.querySelector("#lab-verdict").innerText === "2 of 2 missed events came back, in order, none twice."`)
	tb.until(`document.querySelectorAll("#lab-reader-list .row.returned").length === 2`)
	tb.click("#lab-gap")
	tb.until(`document.querySelector("#lab-verdict").innerText.startsWith("No gap: nothing was ever trimmed")`)
	gateway.trim("a", 5)
	tb.click("#lab-gap")
	tb.until(`document.querySelector("#lab-verdict").innerText.startsWith("The gateway said so: trimmed on a")`)
	tb.until(`document.querySelectorAll("#lab-reader-list .row.gap").length === 1`)
	tb.click("#lab-stop")
	tb.until(`!document.querySelector("#lab-start").disabled`)
}

func testPublish(t *testing.T, tb *tab) {
	var gateway *fakeGateway
	var url string
	url, gateway = serve(t, Options{Dev: true, Logger: slog.New(slog.DiscardHandler), Publish: func(_ context.Context, e Event) (string, error) {
		if e.Channel == "full" {
			return "", fmt.Errorf("OOM <b>")
		}
		return gateway.add(e.Channel, e.Name, e.Data), nil
	}})
	tb.open(url)
	tb.connect("demo")
	tb.fill("#publish-event", "ping")
	tb.fill("#publish-data", "from the page")
	tb.click("#publish-form button")
	tb.until(rows("event") + ` === 1`)
	tb.until(`/^Written as \d+-1$/.test(document.querySelector("#publish-result").innerText)`)
	tb.fill("#publish-channel", "full")
	tb.click("#publish-form button")
	tb.until(`document.querySelector("#publish-result").innerText.endsWith("OOM <b>")`)
	tb.expectNoise() // the browser itself logs a failed request
}

func testBounded(t *testing.T, tb *tab) {
	url, gateway := serve(t, Options{})
	tb.open(url)
	tb.connect("demo")
	tb.click("#pause")
	for i := range 700 {
		gateway.add("demo", "", fmt.Sprint("event ", i))
	}
	tb.until(`document.querySelector("#received").innerText === "700"`)
	if n := eval[int](tb, rows("event")); n != 0 {
		t.Errorf("%d rows came while paused", n)
	}
	tb.click("#pause")
	tb.until(rows("event") + ` === 500`)
	if got := tb.text("#events .row"); !strings.Contains(got, "event 699") {
		t.Errorf("the newest row is %q", got)
	}
	tb.fill("#order", "follow")
	tb.until(`document.querySelector("#events").firstElementChild.innerText.includes("event 200")`)
	gateway.add("demo", "", "the end")
	tb.until(`document.querySelector("#events").lastElementChild.innerText.includes("the end")`)
	tb.until(`(() => { const e = document.querySelector("#events"); return e.scrollTop + e.clientHeight >= e.scrollHeight - 2 })()`)
	tb.click("#clear")
	tb.until(`document.querySelectorAll("#events .row").length === 0`)
	// A gap outlives the events that push it out.
	gateway.add("demo", "gateway.gap", `{"channel":"demo","reason":"too_large"}`)
	for range 600 {
		gateway.add("demo", "", "x")
	}
	tb.until(rows("gap") + ` === 1 && ` + rows("event") + ` === 499`)
}

func testKeyboard(t *testing.T, tb *tab) {
	url, gateway := serve(t, Options{})
	tb.open(url)
	tb.connect("demo")
	gateway.add("demo", "ping", `{"n":1}`)
	tb.until(rows("event") + ` === 1`)
	tb.run(chromedp.Focus(chromedp.CSS("#events")), chromedp.KeyEvent(kb.ArrowDown))
	tb.until(`document.querySelector("#inspector-data").innerText === '{\n  "n": 1\n}'`)
	if raw := tb.text("#inspector-raw"); !strings.Contains(raw, "event: ping\ndata: {\"n\":1}") {
		t.Errorf("raw frame %q", raw)
	}
	tb.run(chromedp.Focus(chromedp.CSS("#tab-events")), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
	tb.until(`document.activeElement.id === "tab-lab" && !document.querySelector("#panel-lab").hidden`)
	tb.run(chromedp.Focus(chromedp.CSS("#theme")), chromedp.KeyEvent("\r"), chromedp.KeyEvent("\r"))
	tb.until(`document.documentElement.dataset.theme === "dark" && localStorage.getItem("sse-gateway.theme") === "dark"`)
	nameless := eval[[]string](tb, `[...document.querySelectorAll("input, select, textarea, button")].filter((n) =>
		!n.labels?.length && !n.getAttribute("aria-label") && !n.textContent.trim()).map((n) => n.id)`)
	if len(nameless) > 0 {
		t.Errorf("controls without a name: %q", nameless)
	}
}

// channelsAnswer is what /channels answers of a gateway with one channel.
func channelsAnswer(name string) any {
	window := map[string]any{"events": 3, "bytes": 2048, "after": "1-0"}
	return map[string]any{"total": 1, "channels": []any{map[string]any{"name": name, "subscribers": 7, "position": "1-1", "window": window}}}
}

// The table has what the replica serves and what the page has seen.
func testChannelTable(t *testing.T, tb *tab) {
	url, gateway := serve(t, Options{Channels: func() any { return channelsAnswer("demo") }})
	tb.open(url)
	tb.connect("other")
	gateway.add("other", "", "seen")
	tb.click("#tab-channels")
	tb.until(`document.querySelectorAll("#channel-rows tr").length === 2`)
	if got := tb.text("#channel-rows tr:nth-of-type(1)"); !strings.Contains(got, "demo") || !strings.Contains(got, "7") || !strings.Contains(got, "3, 2.0 KiB") || !strings.Contains(got, "1-1") {
		t.Errorf("the served channel's row is %q", got)
	}
	if got := tb.text("#channel-rows tr:nth-of-type(2)"); !strings.Contains(got, "other") || !strings.Contains(got, "seen") {
		t.Errorf("the seen channel's row is %q", got)
	}
}

// The page of dev is connected as soon as it is open.
func testConnectsByItself(t *testing.T, tb *tab) {
	url, gateway := serve(t, Options{Dev: true, DefaultChannels: []string{"demo"}})
	gateway.add("demo", "", "before")
	tb.open(url)
	tb.until(`document.querySelector("#state").dataset.state === "open"`)
	gateway.add("demo", "", "hello")
	tb.until(rows("event") + ` === 1`)
}

// The longest names that there can be take nothing else away: neither the
// columns beside them nor, on a phone, the channel beside the event's name.
func testLongNames(t *testing.T, tb *tab) {
	long := strings.Repeat("Wide", 50)
	url, gateway := serve(t, Options{Channels: func() any { return channelsAnswer(long) }})
	tb.open(url)
	tb.connect(long)
	gateway.add(long, long, long)
	tb.until(rows("event") + ` === 1`)
	tb.click("#tab-channels")
	tb.until(`document.querySelector("#channel-rows button") !== null`)
	beyond := eval[int](tb, `(() => { const right = (s) => document.querySelector(s).getBoundingClientRect().right;
		return Math.round(right("#channel-rows button") - right("#panel-channels")) })()`)
	if beyond > 0 {
		t.Errorf("the last column ends %d px beyond the table's edge", beyond)
	}
	tb.run(chromedp.EmulateViewport(360, 740))
	tb.click("#tab-events")
	if width := eval[int](tb, `document.querySelector(".row.event .channel-name").clientWidth`); width < 40 {
		t.Errorf("on a phone %d px are left for the channel", width)
	}
}

// Who goes through the lab, or publishes, by keyboard finds the focus on the next
// step's button each time; a disabled one would drop it to the page's top.
func testFocus(t *testing.T, tb *tab) {
	url, gateway := serve(t, Options{Dev: true, Publish: func(context.Context, Event) (string, error) { return "1-1", nil }})
	tb.open(url)
	tb.fill("#channels", "demo")
	tb.click("#tab-lab")
	enter := func() { tb.run(chromedp.KeyEvent(kb.Enter)) }
	tb.run(chromedp.Focus(chromedp.CSS("#lab-start")))
	enter()
	tb.until(`document.activeElement.id === "lab-leave"`)
	tb.until(`document.querySelector("#announcer").textContent.startsWith("Both are connected.")`)
	enter()
	tb.until(`document.activeElement.id === "lab-return"`)
	gateway.add("demo", "", "missed")
	tb.until(`document.querySelector("#lab-verdict").innerText.includes("has seen 1 event ")`)
	enter()
	tb.until(`document.activeElement.id === "lab-leave"`)
	tb.until(`document.querySelector("#announcer").textContent.startsWith("1 of 1 missed events came back")`)
	tb.run(chromedp.Focus(chromedp.CSS("#publish-form button")))
	enter()
	tb.until(`document.querySelector("#publish-result").innerText === "Written as 1-1"`)
	if !eval[bool](tb, `document.activeElement.matches("#publish-form button")`) {
		t.Error("publishing took the focus from its button")
	}
}
