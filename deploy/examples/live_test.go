package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sse-gateway/sse-gateway/gateway/console/browsertest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestPages opens the examples in a browser: those that need a gateway, or an
// application, of their own, and the others.
func TestPages(t *testing.T) {
	b := browsertest.Start(t)
	for name, test := range map[string]func(*testing.T, context.Context){
		"chat": testChat, "job": testJob, "queue": testQueue, "tabs": testTabs, "private": testPrivate, "fallback": testFallback,
		"shared": testSharedPages,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, b)
		})
	}
}

// says is true of one element with this text.
func says(want ...string) func([]string) bool {
	return func(got []string) bool { return slices.Equal(got, want) }
}

// testChat reloads the page and kills the gateway in the middle of an answer: the page
// has each token once, and closes its connection at the end.
func testChat(t *testing.T, b context.Context) {
	tokens := make(chan string)
	a := startApp(t, func(c *config) {
		c.model = func(question string) iter.Seq[string] {
			return func(yield func(string) bool) {
				for more := yield("(" + question + ")"); more; {
					token, ok := <-tokens
					more = ok && yield(token)
				}
			}
		}
	})
	write := func(text ...string) {
		for _, token := range text {
			select {
			case tokens <- token:
			case <-time.After(patience):
				t.Fatal("the model is not asked for a token")
			}
		}
	}
	p := open(t, b, a.URL+"/chat.html")
	p.do(chromedp.SendKeys(chromedp.CSS("[name=question]"), "And then?"), chromedp.Click(chromedp.CSS("button")))
	write(" Once", " upon", " a", " time,\n")
	p.until("the first tokens are there", "#answer", says("(And then?) Once upon a time,\n"))
	p.do(chromedp.Reload())
	p.until("a page that is loaded again has them", "#answer", says("(And then?) Once upon a time,\n"))
	write(" “there", "”")
	p.until("it goes on", "#answer", says("(And then?) Once upon a time,\n “there”"))
	a.gateway.kill()
	write(" was")
	a.awaitRetry(t)
	a.gateway.start()
	p.until("nothing is lost with the gateway", "#answer", says("(And then?) Once upon a time,\n “there” was"))
	p.until("it is not complete yet", "#state", says("writing"))

	// The end comes while there is no gateway.
	a.gateway.kill()
	write(" one.")
	close(tokens)
	redistest.Eventually(t, patience, "the answer is complete", func() bool {
		ttl, _ := a.redis.Do("TTL", a.redis.Do("KEYS", "sse:chat:*").([]any)[0]).(int64)
		return ttl > 0
	})
	a.gateway.start()
	for range 2 {
		p.until("the answer is complete", "#state", says("complete"))
		p.until("all of it is there", "#answer", says("(And then?) Once upon a time,\n “there” was one."))
		redistest.Eventually(t, patience, "no connection is left", func() bool { return a.gateway.metric(t, "sse_gateway_connections ") == "0" })
		p.do(chromedp.Reload())
	}
}

// testJob kills the gateway during a job: the bar goes on with the newest progress, and
// a page that is opened when the job is done shows the outcome.
func testJob(t *testing.T, b context.Context) {
	progress := make(chan int)
	a := startApp(t, func(c *config) {
		c.work = func() iter.Seq[int] {
			return func(yield func(int) bool) {
				for percent := range progress {
					if !yield(percent) {
						return
					}
				}
			}
		}
	})
	done := func(percent ...int) {
		for _, n := range percent {
			select {
			case progress <- n:
			case <-time.After(patience):
				t.Fatal("the job does not go on")
			}
		}
	}
	p := open(t, b, a.URL+"/job.html")
	bar := func(want float64) {
		t.Helper()
		redistest.Eventually(t, patience, fmt.Sprint("the bar is at ", want), func() bool {
			return browsertest.Evaluate[float64](t, p.ctx, patience, `document.querySelector("progress").value`) == want
		})
	}
	p.do(chromedp.Click(chromedp.CSS("button")))
	done(10, 20)
	bar(20)
	a.gateway.kill()
	done(30, 40, 50)
	a.awaitRetry(t)
	a.gateway.start()
	bar(50)
	close(progress)
	for range 2 {
		p.until("the outcome is there", "#outcome", says("The report is ready."))
		bar(100)
		redistest.Eventually(t, patience, "no connection is left", func() bool { return a.gateway.metric(t, "sse_gateway_connections ") == "0" })
		p.do(chromedp.Reload())
	}
}

// testQueue writes what BullMQ 6.7 was seen to write.
func testQueue(t *testing.T, b context.Context) {
	var queues *gateway
	a := startApp(t, func(c *config) {
		queues = startGateway(t, c.redisURL, "SSE_KEY_PREFIX=bull:", "SSE_PATH=/queues", "SSE_PUBLIC_CHANNELS=*:events")
		c.queues = "http://" + queues.public
	})
	add := func(fields ...any) {
		a.redis.Do(append([]any{"XADD", "bull:emails:events", "MAXLEN", "~", 10000, "*", "event"}, fields...)...)
	}
	add("added", "jobId", "1", "name", "send")
	add("waiting", "jobId", "1")
	p := open(t, b, a.URL+"/queue.html?queue=emails")
	p.until("what was before is there", "li", says("job 1: waiting"))
	add("added", "jobId", "2", "name", "send")
	add("waiting", "jobId", "2")
	add("active", "jobId", "1", "prev", "waiting")
	add("progress", "jobId", "1", "data", "50")
	p.until("the jobs are there", "li", says("job 1: active", "job 2: waiting"))
	queues.kill()
	add("completed", "jobId", "1", "returnvalue", `{"sent":true}`, "prev", "active")
	add("active", "jobId", "2", "prev", "waiting")
	add("failed", "jobId", "2", "failedReason", "no such address", "prev", "active")
	add("retries-exhausted", "jobId", "2", "attemptsMade", "1")
	add("drained")
	queues.start()
	p.until("the jobs are done", "li", says("job 1: completed", "job 2: failed, no such address"))
}

// testTabs opens more tabs than a browser has connections to a host.
func testTabs(t *testing.T, b context.Context) {
	a := startApp(t)
	a.redis.XAdd("sse:tabs", "data", "before")
	var tabs []*page
	for range 8 {
		p := open(t, b, a.URL+"/tabs.html")
		p.until("a tab shows what was", "li", says("before"))
		tabs = append(tabs, p)
	}
	a.redis.XAdd("sse:tabs", "data", "for all")
	for _, p := range tabs {
		p.until("a tab shows what comes", "li", says("before", "for all"))
	}
	if n := a.streams.Load(); n != 1 {
		t.Errorf("%d streams for %d tabs", n, len(tabs))
	}
	// The worker outlives the tab that started it, and a gateway.
	tabs[0].do(chromedp.Navigate("about:blank"))
	a.gateway.kill()
	a.redis.XAdd("sse:tabs", "data", "for the others")
	a.awaitRetry(t)
	a.gateway.start()
	for _, p := range tabs[1:] {
		p.until("the others go on", "li", says("before", "for all", "for the others"))
	}
	// A tab that comes back shows all of it once.
	tabs[0].do(chromedp.Navigate(a.URL + "/tabs.html"))
	tabs[0].until("the tab has caught up", "li", says("before", "for all", "for the others"))
}

// testPrivate has tokens run out under the page: it gets another one, and each event
// once.
func testPrivate(t *testing.T, b context.Context) {
	a := startApp(t, func(c *config) { c.tokenLife = 2 * time.Second })
	p := open(t, b, a.URL+"/private.html")
	p.until("the page is connected", "#state", says("connected"))
	var want []string
	for i := range 3 {
		before := a.tokens.Load()
		redistest.Eventually(t, patience, "a token has run out, and the page asks for another one", func() bool { return a.tokens.Load() > before })
		want = append(want, fmt.Sprint("only for you ", i))
		a.redis.XAdd("sse:private:demo", "data", want[i])
		p.until("the event is there", "li", says(want...))
	}
	if got := p.texts("#state"); strings.Join(got, "") != "connected" {
		t.Errorf("the state is %q", got)
	}
}

// testFallback has a proxy begin to keep streams back: the page polls, and has each
// event once. While heartbeats come it does not.
func testFallback(t *testing.T, b context.Context) {
	const heartbeat = 3000 // ms: what the page is told; the gateway's are far more frequent
	a := startApp(t, func(c *config) {
		c.gateway = "http://" + startGateway(t, c.redisURL, "SSE_HEARTBEAT=200ms").public
	})
	p := open(t, b, fmt.Sprint(a.URL, "/fallback.html?heartbeat=", heartbeat))
	p.until("there is a stream", "#state", says("stream"))
	redistest.Eventually(t, patience, "it was quiet for longer than two heartbeats", func() bool {
		return browsertest.Evaluate[float64](t, p.ctx, patience, "performance.now()") > 2.5*heartbeat
	})
	a.redis.XAdd("sse:fallback", "data", "one")
	p.until("the event is there", "li", says("one"))
	if got := p.texts("#state"); !slices.Equal(got, []string{"stream"}) {
		t.Errorf("the state is %q although heartbeats came", got)
	}
	a.buffering.Store(true)
	a.CloseClientConnections()
	a.redis.XAdd("sse:fallback", "data", "two")
	p.until("the page polls", "#state", says("polling"))
	p.until("what it missed is there", "li", says("one", "two"))
	a.redis.XAdd("sse:fallback", "data", "three")
	p.until("it goes on", "li", says("one", "two", "three"))
	a.redis.XAdd("sse:fallback", "gateway.end", "1")
	p.until("it stops at the end", "#state", says("ended"))
	p.until("each event is there once", "li", says("one", "two", "three"))
}
