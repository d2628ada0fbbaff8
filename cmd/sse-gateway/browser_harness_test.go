package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/sse-gateway/sse-gateway/gateway/console/browsertest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// browserPatience is how long a test waits for what must come, which may have
// to wait for one reconnection.
const browserPatience = patience

// TestBrowser has a real browser use the real program. What is not tried here:
// Firefox and Safari; see TestFirstFrameHasIDAndData.
func TestBrowser(t *testing.T) {
	t.Parallel()
	browser := browsertest.Start(t)
	for name, test := range map[string]func(t *testing.T, browser context.Context){
		"CORS, named origins with a cookie": testCORSNamed,
		"CORS, all origins":                 testCORSAll,
		"CORS, fetch-based client":          testCORSFetch,
		"CORS, resume after a restart":      testCORSResume,
		"hostile content":                   testHostileContent,
		"refusals that pass":                testPassingRefusals,
		"refusals that do not":              testFinalRefusals,
		"console":                           testConsole,
		"console of dev":                    testConsoleDev,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, browser)
		})
	}
}

// browserTab is one page in the browser. Its methods belong on the test's
// goroutine.
type browserTab struct {
	t   *testing.T
	ctx context.Context

	// mu guards the rest, which the browser's events fill.
	mu    sync.Mutex
	noise []string // what the page wrote to its console: errors, refusals by its policy
}

// openTab opens a URL in a tab that lives as long as the test.
func openTab(t *testing.T, browser context.Context, url string) *browserTab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	tb := &browserTab{t: t, ctx: ctx}
	err := chromedp.Listen(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			tb.heard("exception", ev.ExceptionDetails)
		case *runtime.EventConsoleAPICalled:
			tb.heard("console", ev.Args)
		case *log.EventEntryAdded:
			tb.heard("log", ev.Entry)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	tb.navigate(url)
	return tb
}

func (tb *browserTab) heard(kind string, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		text = []byte(err.Error())
	}
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.noise = append(tb.noise, kind+": "+string(text))
}

// takeNoise returns what was heard and forgets it.
func (tb *browserTab) takeNoise() []string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	noise := tb.noise
	tb.noise = nil
	return noise
}

func (tb *browserTab) run(steps ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	browsertest.Do(tb.t, tb.ctx, browserPatience, steps...)
}

func (tb *browserTab) navigate(url string) {
	tb.t.Helper()
	tb.run(chromedp.Navigate(url))
}

// evaluate returns the value of a JavaScript expression.
func evaluate[T any](tb *browserTab, expression string) T {
	tb.t.Helper()
	return browsertest.Evaluate[T](tb.t, tb.ctx, browserPatience, expression)
}

// until waits for a JavaScript condition.
func (tb *browserTab) until(within time.Duration, condition string) {
	tb.t.Helper()
	redistest.Eventually(tb.t, within, condition, func() bool { return evaluate[bool](tb, condition) })
}

// sourcePage is the script of the test's own pages: sources by name, each with
// everything that it has told.
const sourcePage = `<!DOCTYPE html><meta charset="utf-8"><title>test</title><link rel="icon" href="data:,">
<script>
const sources = {}
function listen(name, url, options, types) {
  const s = sources[name] = {events: [], errors: 0, opens: 0, everClosed: false, es: new EventSource(url, options)}
  s.es.onopen = () => s.opens++
  s.es.addEventListener("error", (e) => {
    if (e instanceof MessageEvent) return
    s.errors++
    if (s.es.readyState === EventSource.CLOSED) s.everClosed = true
  })
  for (const type of types) s.es.addEventListener(type, (e) => {
    if (e instanceof MessageEvent) s.events.push({Type: e.type, Data: e.data, ID: e.lastEventId})
  })
  return true
}
</script>`

// page is a web server for the test's own page, which is not the gateway's: it
// is on another port. /login sets the cookie that is named there; for a page of
// another site it is one that browsers keep for that page (Partitioned), as
// they send no other cookies across sites.
func page(t *testing.T) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.URL.Query().Get("cookie"); name != "" {
			c := &http.Cookie{Name: name, Value: r.URL.Query().Get("value"), Path: "/", HttpOnly: true}
			if origin := r.Header.Get("Origin"); origin != "" {
				c.SameSite, c.Secure, c.Partitioned = http.SameSiteNoneMode, true, true
				w.Header().Set("Access-Control-Allow-Origin", origin)
				w.Header().Set("Access-Control-Allow-Credentials", "true")
			}
			http.SetCookie(w, c)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(sourcePage))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// otherHost is the same server by another name, and so another site.
func otherHost(url string) string { return strings.Replace(url, "127.0.0.1", "localhost", 1) }

// browserEvent is an event as a page's script sees it.
type browserEvent struct{ Type, Data, ID string }

// source is an EventSource in a page.
type source struct {
	tb   *browserTab
	name string
}

// listen makes the page subscribe, to events of these types.
func (tb *browserTab) listen(name, url string, withCredentials bool, types ...string) *source {
	tb.t.Helper()
	list, err := json.Marshal(append([]string{"gateway.ready", "gateway.gap", "message"}, types...))
	if err != nil {
		tb.t.Fatal(err)
	}
	evaluate[bool](tb, fmt.Sprintf("listen(%q, %q, {withCredentials: %v}, %s)", name, url, withCredentials, list))
	return &source{tb, name}
}

// js is an expression of the source's record in the page.
func (s *source) js() string { return "sources[" + strconv.Quote(s.name) + "]" }

// events waits until there are n events and returns them, the ready frame
// first.
func (s *source) events(n int) []browserEvent {
	s.tb.t.Helper()
	s.tb.until(browserPatience, fmt.Sprintf("%s.events.length >= %d", s.js(), n))
	return evaluate[[]browserEvent](s.tb, s.js()+".events")
}

// requireReady waits for the first frame.
func (s *source) requireReady() {
	s.tb.t.Helper()
	if e := s.events(1)[0]; e.Type != "gateway.ready" || e.ID == "" || e.Data == "" {
		s.tb.t.Errorf("%s: the first event is %+v, want gateway.ready with data and id", s.name, e)
	}
}

// requireClosed waits until the browser has given the source up for good.
func (s *source) requireClosed() {
	s.tb.t.Helper()
	s.tb.until(browserPatience, s.js()+".es.readyState === EventSource.CLOSED")
	if n := evaluate[int](s.tb, s.js()+".events.length + "+s.js()+".opens"); n != 0 {
		s.tb.t.Errorf("%s: a source that is refused was opened, or had events", s.name)
	}
}

// login gives the page the cookie of another site.
func (tb *browserTab) login(url string) {
	tb.t.Helper()
	evaluate[bool](tb, fmt.Sprintf("fetch(%q, {credentials: \"include\"}).then(() => { window.loggedIn = true }), true", url))
	tb.until(browserPatience, "window.loggedIn === true")
}

// query writes a URL's query. pairs are names and values.
func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

// fixedPorts are the variables of a gateway that can be started again at the
// same addresses.
func fixedPorts(t *testing.T) []string {
	return []string{
		"SSE_ADDR=" + redistest.FreeAddr(t),
		"SSE_ADMIN_ADDR=" + redistest.FreeAddr(t),
	}
}

// kill ends the process as a crash does.
func (p *gatewayProcess) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-p.exited
}
