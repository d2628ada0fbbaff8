package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/sse-gateway/sse-gateway/gateway/console/browsertest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// tab is one page in the browser. Whatever it writes to its console, an error,
// a warning or a refusal by the policy, fails the test at its end.
type tab struct {
	t      *testing.T
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	noise  []string
	closed bool // what it says from here on is about its own end
}

func newTab(t *testing.T, browser context.Context) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	tb := &tab{t: t, ctx: ctx}
	err := chromedp.Listen(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			tb.complain("exception: %s", describe(ev.ExceptionDetails))
		case *runtime.EventConsoleAPICalled:
			tb.complain("console.%s: %s", ev.Type, describe(ev.Args))
		case *log.EventEntryAdded:
			tb.complain("%s: %s %s", ev.Entry.Level, ev.Entry.Text, ev.Entry.URL)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	tb.cancel = cancel
	return tb
}

// close ends the tab and reports what it said.
func (tb *tab) close() {
	tb.mu.Lock()
	tb.closed = true
	noise := tb.noise
	tb.mu.Unlock()
	for _, line := range noise {
		tb.t.Error("the page's console: ", line)
	}
	tb.cancel()
}

// describe renders what the protocol says of an error.
func describe(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (tb *tab) complain(format string, args ...any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if tb.closed {
		return
	}
	tb.noise = append(tb.noise, fmt.Sprintf(format, args...))
}

// expectNoise takes back what the test meant to provoke.
func (tb *tab) expectNoise() {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.noise = nil
}

func (tb *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	browsertest.Do(tb.t, tb.ctx, patience, steps...)
}

// open loads the page and waits until its script has run. The tab is closed at
// the end of the test, before the server that is then already running.
func (tb *tab) open(url string, before ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	tb.t.Cleanup(tb.close)
	tb.run(append(before, chromedp.Navigate(url))...)
	tb.until(`document.documentElement.dataset.ready === ""`)
}

// until waits for a JavaScript condition. It asks from outside: the page's
// policy forbids a script that would evaluate text inside it.
func (tb *tab) until(condition string) {
	tb.t.Helper()
	if !redistest.Poll(patience, func() bool { return eval[bool](tb, condition) }) {
		tb.t.Fatalf("never true: %s\nthe page says: %s", condition, tb.text("body"))
	}
}

// eval returns the value of a JavaScript expression.
func eval[T any](tb *tab, expression string) T {
	tb.t.Helper()
	return browsertest.Evaluate[T](tb.t, tb.ctx, patience, expression)
}

func (tb *tab) text(selector string) string {
	tb.t.Helper()
	return eval[string](tb, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? "(absent)"`, selector))
}

func (tb *tab) click(selector string) {
	tb.t.Helper()
	tb.run(chromedp.Click(chromedp.CSS(selector)))
}

// fill replaces a field's text as typing does.
func (tb *tab) fill(selector, text string) {
	tb.t.Helper()
	eval[bool](tb, fmt.Sprintf(`(() => { const f = document.querySelector(%q); f.value = %q;
		f.dispatchEvent(new Event("input", {bubbles: true}));
		f.dispatchEvent(new Event("change", {bubbles: true})); return true })()`, selector, text))
}

// connect subscribes to channels and waits for the first frame.
func (tb *tab) connect(channels string) {
	tb.t.Helper()
	tb.fill("#channels", channels)
	tb.click("#connect")
	tb.until(`document.querySelector("#state").dataset.state === "open"`)
	tb.until(`document.querySelector("#events .row.ready") !== null`)
}

// serve runs the console and a fake gateway on one port.
func serve(t *testing.T, opts Options) (url string, gateway *fakeGateway) {
	t.Helper()
	gateway = newFakeGateway()
	mux := http.NewServeMux()
	mux.Handle("/", Handler(opts))
	mux.Handle("/events", gateway)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		gateway.endStreams()
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL, gateway
}
