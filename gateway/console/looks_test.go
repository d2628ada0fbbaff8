package console

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sse-gateway/sse-gateway/gateway/console/browsertest"
)

// TestLooks shows every view in both themes and on a phone, and checks that
// none is wider than its screen and that every text can be read. With -artifacts the pictures are kept, to be
// looked at.
func TestLooks(t *testing.T) {
	url, gateway := serve(t, lively())
	tb := newTab(t, browsertest.Start(t))
	tb.open(url)
	tb.connect("demo, orders:eu")
	trickle(t, gateway)
	tb.until(`document.querySelectorAll("#events .row.event").length >= 20`)
	// Three seconds of figures make a line; the gateway's come every two.
	for _, chart := range []string{"rate", "latency", "connections", "deliveries", "p99"} {
		tb.until(fmt.Sprintf(`document.querySelector("#chart-%s .line").getAttribute("d").includes("L")`, chart))
	}
	tb.until(`/^of [\d,.]+ events\/s read$/.test(document.querySelector("#gateway-reads").innerText)`)
	eval[bool](tb, `(document.querySelectorAll("#events .row.event")[3].click(), true)`)
	for _, screen := range []struct {
		name          string
		width, height int64
		theme         string
	}{
		{"light", 1360, 900, "light"},
		{"dark", 1360, 900, "dark"},
		{"tablet", 768, 1024, "dark"},
		{"phone", 360, 740, "light"},
	} {
		tb.run(chromedp.EmulateViewport(screen.width, screen.height), browsertest.Prefer(screen.theme))
		dark := fmt.Sprintf(`matchMedia("(prefers-color-scheme: dark)").matches === %t`, screen.theme == "dark")
		tb.until(dark + fmt.Sprintf(` && innerWidth === %d`, screen.width))
		for _, view := range []string{"events", "channels", "lab", "code"} {
			tb.click("#tab-" + view)
			if view == "lab" {
				showLab(tb, gateway)
			}
			if over := eval[int](tb, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				t.Errorf("%s, %s: %d px wider than the screen", screen.name, view, over)
			}
			for _, text := range eval[[]string](tb, browsertest.FaintTexts) {
				t.Errorf("%s, %s: hard to read: %s", screen.name, view, text)
			}
			browsertest.Shoot(t, tb.ctx, patience, chromedp.FullScreenshot(100), filepath.Join(t.ArtifactDir(), fmt.Sprintf("%s-%s.png", screen.name, view)))
		}
	}
}

// lively is a gateway with all options and moving figures.
func lively() Options {
	var reading uint64
	return Options{
		KeyPrefix: "sse:", RedisHint: "redis-cli -p 6379", Dev: true, DefaultChannels: []string{"demo"},
		Publish: func(context.Context, Event) (string, error) { return "1-1", nil },
		Stats: func() Stats {
			reading++
			return Stats{
				Connections: 12840 + int64(reading%7)*31, Deliveries: reading * 41_000, EventsRead: reading * 60,
				Latency: Latency{Count: reading * 100, Buckets: []Bucket{{0.001, reading * 80}, {0.005, reading * 100}}},
			}
		},
		Channels: func() any { return channelsAnswer("orders:eu") },
		Tour: &Tour{
			Events: http.NotFoundHandler(),
			Replicas: func() []Replica {
				return []Replica{{"A", true, []string{"sse-gateway.tour:1"}}, {"B", true, []string{}}}
			},
			Kill: func(channel string) string { return map[string]string{"sse-gateway.tour:1": "A"}[channel] },
		},
	}
}

// trickle writes to the channels until the test ends.
func trickle(t *testing.T, gateway *fakeGateway) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(20+i*37%90) * time.Millisecond):
				gateway.add("demo", "ping", fmt.Sprintf(`{"time":%q}`, time.Now().UTC().Format(time.RFC3339Nano)))
				if i%3 == 0 {
					gateway.add("orders:eu", "", fmt.Sprintf("This is order %d, with a text that is longer than a row is wide", i))
				}
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
}

func feed(gateway *fakeGateway) {
	for i := range 12 {
		gateway.add("demo", "ping", fmt.Sprintf(`{"time":%q}`, time.Now().UTC().Format(time.RFC3339Nano)))
		gateway.add("orders:eu", "", fmt.Sprintf("This is order %d, with a text that is longer than a row is wide, so that it has to be cut somewhere", i))
	}
	gateway.add("orders:eu", "update", "two\nlines")
}

// showLab brings the lab to where it has something to show.
func showLab(tb *tab, gateway *fakeGateway) {
	eval[bool](tb, `(document.querySelector("#lab-stop").click(), true)`) // of the screen before
	tb.click("#lab-start")
	tb.until(`document.querySelector("#lab-state").dataset.state === "open"`)
	tb.click("#lab-leave")
	feed(gateway)
	tb.until(`document.querySelectorAll("#lab-witness-list .row.event").length >= 25`)
	tb.click("#lab-return")
	tb.until(`document.querySelector("#lab-verdict").dataset.tone === "good"`)
}
