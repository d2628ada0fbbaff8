package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/gateway/console/browsertest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestBrowserTour has a real browser play the tour of dev. It runs before the tests that
// run side by side: with five more gateways and pages among them, those were too slow.
func TestBrowserTour(t *testing.T) {
	browser := browsertest.Start(t)
	for name, test := range map[string]func(t *testing.T, browser context.Context){
		"an answer": testTourAnswer, "a killed replica": testTourKill, "a gap": testTourGap, "looks": testTourLooks,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, browser)
		})
	}
}

// tourPage is the page of dev with one of its experiments.
type tourPage struct {
	*browserTab
	gateway *gatewayProcess
	redis   *redistest.Server
	name    string // of the experiment
}

func openTour(t *testing.T, browser context.Context, name string) *tourPage {
	t.Helper()
	r := redistest.Start(t)
	retry := "200ms"
	if name == "kill" {
		retry = "2s" // also a slow machine publishes something while the browser is away
	}
	p := startGatewayCommand(t, exec.Command(gatewayBinary, "dev"), append(gatewayEnv(r.URL()), "SSE_RETRY="+retry)...)
	return &tourPage{openConsole(t, browser, p), p, r, name}
}

// play presses the experiment's button and waits until the page finds it good.
func (tp *tourPage) play() {
	tp.t.Helper()
	tp.click("#tour-" + tp.name + "-run")
	verdict := fmt.Sprintf(`document.querySelector("#tour-%s .verdict")`, tp.name)
	if !redistest.Poll(2*browserPatience, func() bool {
		return evaluate[bool](tp.browserTab, verdict+`.dataset.tone !== "" && !("running" in document.querySelector("#tour-`+tp.name+`").dataset) && `+verdict+`.innerText !== ""`)
	}) {
		tp.t.Fatalf("the experiment does not end; it says %q", evaluate[string](tp.browserTab, verdict+`.innerText`))
	}
	if tone := evaluate[string](tp.browserTab, verdict+`.dataset.tone`); tone != "good" {
		tp.t.Errorf("the experiment ends with %q", evaluate[string](tp.browserTab, verdict+`.innerText`))
	}
	tp.requireQuiet()
}

// figures returns what the card counts.
func (tp *tourPage) figures() map[string]int {
	tp.t.Helper()
	return evaluate[map[string]int](tp.browserTab, fmt.Sprintf(
		`Object.fromEntries([...document.querySelectorAll("#tour-%s dd")].map((n) => [n.id.split("-").pop(), Number(n.innerText)]))`, tp.name))
}

// entries returns the stream that the experiment wrote, which must be going to expire.
func (tp *tourPage) entries() []redis.XMessage {
	tp.t.Helper()
	c := tp.redis.Client()
	keys, err := c.Keys(tp.t.Context(), "sse:sse-gateway.tour:*").Result()
	if err != nil || len(keys) != 1 {
		tp.t.Fatalf("the tour's keys are %q, %v", keys, err)
	}
	if ttl := c.TTL(tp.t.Context(), keys[0]).Val(); ttl <= 0 || ttl > tourKept {
		tp.t.Errorf("the tour's stream is kept for %v", ttl)
	}
	list, err := c.XRange(tp.t.Context(), keys[0], "-", "+").Result()
	if err != nil {
		tp.t.Fatal(err)
	}
	return list
}

// requireFigures checks figures of the card.
func (tp *tourPage) requireFigures(want map[string]int) {
	tp.t.Helper()
	got := tp.figures()
	for name, n := range want {
		if got[name] != n {
			tp.t.Errorf("the page counts %d %s, want %d (all: %v)", got[name], name, n, got)
		}
	}
}

// An answer appears word by word, all of it, and the browser stops for good.
func testTourAnswer(t *testing.T, browser context.Context) {
	tp := openTour(t, browser, "answer")
	// How many words had been published when each appeared.
	evaluate[bool](tp.browserTab, `(() => { window.at = []; new MutationObserver((all) => all.forEach((m) => m.addedNodes.forEach(() =>
		at.push(Number(document.querySelector("#tour-answer-published").innerText))))).observe(document.querySelector("#tour-answer-text"), {childList: true}); return true })()`)
	tp.play()
	list, text := tp.entries(), ""
	for _, e := range list {
		if data, ok := e.Values["data"].(string); ok {
			text += data
		}
	}
	words := len(list) - 1
	if list[words].Values["gateway.end"] == nil || len(list[words].Values) != 1 {
		t.Errorf("the last entry is %v", list[words])
	}
	if got := evaluate[string](tp.browserTab, `document.querySelector("#tour-answer-text").textContent`); got != text || text == "" {
		t.Errorf("the page shows %q, Redis has %q", got, text)
	}
	tp.requireFigures(map[string]int{"published": words, "received": words, "status": 204})
	if at := evaluate[[]int](tp.browserTab, `at`); len(at) < words || at[0] >= words {
		t.Errorf("words appeared when %v were published: it did not stream", at)
	}
}

// The replica that serves the page is killed in the middle of a stream of events: the
// browser, by itself, has each of them once.
func testTourKill(t *testing.T, browser context.Context) {
	tp := openTour(t, browser, "kill")
	for _, want := range []string{"Replica A was killed, replica B went on.", "was killed, replica "} {
		tp.redis.Client().FlushAll(t.Context())
		tp.play()
		n := len(tp.entries())
		tp.requireFigures(map[string]int{"published": n, "received": n, "lost": 0, "repeated": 0})
		if back := tp.figures()["returned"]; back == 0 {
			t.Error("nothing was published while the browser was away")
		}
		if got := evaluate[string](tp.browserTab, `document.querySelector("#tour-kill .verdict").innerText`); !strings.Contains(got, want) {
			t.Errorf("the page says %q", got)
		}
		if n := evaluate[int](tp.browserTab, `document.querySelectorAll("#tour-kill .ticks .returned").length`); n != tp.figures()["returned"] {
			t.Errorf("%d events are shown as come back, want %d", n, tp.figures()["returned"])
		}
	}
	if n := strings.Count(tp.gateway.err.String(), "a replica was killed"); n != 2 {
		t.Errorf("%d replicas were killed, want 2", n)
	}
	tp.until(browserPatience, `document.querySelectorAll("#tour-replicas .state:not([data-state=killed])").length === 2`)
}

// Redis removes events while the browser is away: it hears of all that it cannot have.
func testTourGap(t *testing.T, browser context.Context) {
	tp := openTour(t, browser, "trim")
	tp.play()
	left := tp.entries()
	published := tp.figures()["published"]
	trimmed := published - 5 - len(left) // five were seen before
	if trimmed <= 0 {
		t.Fatalf("of %d events none was trimmed while away", published)
	}
	tp.requireFigures(map[string]int{"received": published - trimmed, "told": trimmed, "lost": 0})
	_, data, _ := strings.Cut(evaluate[string](tp.browserTab, `document.querySelector("#tour-trim-frame").textContent`), "data: ")
	var gap struct{ Channel, After, Resumed, Reason string }
	if err := json.Unmarshal([]byte(data), &gap); err != nil || gap.Reason != "trimmed" || gap.Resumed >= left[0].ID || gap.After >= gap.Resumed {
		t.Errorf("the gap is %q, the first entry left %s: %v", data, left[0].ID, err)
	}
	if n := evaluate[int](tp.browserTab, `document.querySelectorAll("#tour-trim .ticks .told").length`); n != trimmed {
		t.Errorf("%d events are shown as told of, want %d", n, trimmed)
	}
}

// unevenFigures counts the cards whose figures are not on one line, as when a label
// takes two lines.
const unevenFigures = `[...document.querySelectorAll("#tour .figures")].filter((card) =>
	new Set([...card.querySelectorAll("dd")].map((figure) => Math.round(figure.getBoundingClientRect().top))).size > 1).length`

// The tour can be read in both themes, and on a phone, without scrolling sideways. With
// -artifacts the pictures are kept, to be looked at; `make screenshot` takes the first.
func testTourLooks(t *testing.T, browser context.Context) {
	tp := openTour(t, browser, "trim")
	tp.click("#tour-play")
	tp.until(3*browserPatience, `document.querySelectorAll("#tour .verdict[data-tone=good]").length === 3`)
	tp.until(browserPatience, `document.querySelectorAll("#tour-replicas [data-state=killed]").length === 0`)
	tp.until(browserPatience, `document.querySelectorAll("#events .row.event").length >= 4`)
	for _, screen := range []struct {
		name          string
		width, height int64
		theme         string
		picture       chromedp.Action[[]byte]
	}{
		{"readme", 1360, 800, "light", chromedp.CaptureScreenshot()},
		{"dark", 1360, 900, "dark", chromedp.FullScreenshot(100)},
		{"phone-dark", 360, 740, "dark", chromedp.FullScreenshot(100)},
		{"phone-light", 360, 740, "light", chromedp.FullScreenshot(100)},
	} {
		tp.run(chromedp.EmulateViewport(screen.width, screen.height), browsertest.Prefer(screen.theme))
		tp.until(browserPatience, fmt.Sprintf(`innerWidth === %d && matchMedia("(prefers-color-scheme: dark)").matches === %t`, screen.width, screen.theme == "dark"))
		if over := evaluate[int](tp.browserTab, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("%s: %d px wider than the screen", screen.name, over)
		}
		if uneven := evaluate[int](tp.browserTab, unevenFigures); uneven > 0 {
			t.Errorf("%s: the figures of %d cards are not on one line", screen.name, uneven)
		}
		for _, text := range evaluate[[]string](tp.browserTab, browsertest.FaintTexts) {
			t.Errorf("%s: hard to read: %s", screen.name, text)
		}
		browsertest.Shoot(t, tp.ctx, browserPatience, screen.picture, filepath.Join(t.ArtifactDir(), screen.name+".png"))
	}
}
