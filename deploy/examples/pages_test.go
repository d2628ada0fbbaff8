package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// testSharedPages opens the pages that can share one application and its gateway.
func testSharedPages(t *testing.T, b context.Context) {
	a := startApp(t)
	redisURL := "REDIS_URL=" + a.redis.URL()

	t.Run("index", func(t *testing.T) {
		p := open(t, b, a.URL)
		if links := p.texts("a"); len(links) != 9 {
			t.Errorf("links are %q", links)
		}
	})
	t.Run("orders", func(t *testing.T) {
		a.setOrders(t, "16 new", "17 new")
		// Neither in the state that the page loads nor after it has subscribed.
		a.meanwhile.Store(httptest.NewRequest(http.MethodPost, "/api/orders?id=15&status=late", nil))
		testOrders(t, a, open(t, b, a.URL+"/orders.html"))
	})
	t.Run("every 5 s", func(t *testing.T) {
		background(t, []string{redisURL, "INTERVAL=0.2"}, "publish/every5s.sh")
		p := open(t, b, a.URL+"/every5s.html")
		p.until("three times", "li", func(s []string) bool {
			return len(s) >= 3 && !slices.ContainsFunc(s, func(line string) bool { return !strings.HasPrefix(line, "The server time is ") })
		})
	})
	t.Run("pings", func(t *testing.T) {
		background(t, []string{redisURL, "INTERVAL=0.05"}, redistest.Command(t, "python3", "python3"), "publish/pings.py")
		p := open(t, b, a.URL+"/pings.html")
		p.until("pings", "li.ping", func(s []string) bool { return len(s) >= 3 && strings.HasPrefix(s[2], "ping at 20") })
		p.until("messages", "li.message", func(s []string) bool { return len(s) >= 2 && strings.HasPrefix(s[1], "message: ") })
	})
}

// setOrders changes orders ("id status") as another user of the application
// does.
func (a *app) setOrders(t *testing.T, orders ...string) {
	t.Helper()
	for _, order := range orders {
		id, status, _ := strings.Cut(order, " ")
		res, err := http.PostForm(a.URL+"/api/orders", url.Values{"id": {id}, "status": {status}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusNoContent {
			t.Fatalf("changing order %s: %s", order, res.Status)
		}
	}
}

// testOrders holds the page to the state, whatever it misses.
func testOrders(t *testing.T, a *app, p *page) {
	shows := func(want ...string) {
		t.Helper()
		p.until("the page shows the orders", "#orders li", func(got []string) bool {
			slices.Sort(got)
			return slices.Equal(got, want)
		})
	}
	loaded := func(want int64) {
		t.Helper()
		if got := a.snapshots.Load(); got != want {
			t.Errorf("the state was loaded %d times, want %d", got, want)
		}
	}
	shows("15: late", "16: new", "17: new")
	a.setOrders(t, "17 paid", "18 new")
	shows("15: late", "16: new", "17: paid", "18: new")
	p.do(chromedp.SendKeys(chromedp.CSS(`[name=id]`), "18"), chromedp.SendKeys(chromedp.CSS(`[name=status]`), "gone"), chromedp.Click(chromedp.CSS("button")))
	shows("15: late", "16: new", "17: paid", "18: gone")

	// A gateway that crashes: what was published meanwhile is in the stream.
	a.gateway.kill()
	a.setOrders(t, "17 sent")
	a.awaitRetry(t)
	a.gateway.start()
	shows("15: late", "16: new", "17: sent", "18: gone")
	loaded(1)

	// Now it is not: there is a gap, and the page begins again.
	a.gateway.kill()
	a.setOrders(t, "16 paid", "17 lost", "19 new")
	a.redis.Do("XTRIM", ordersStream, "MAXLEN", 1)
	a.gateway.start()
	shows("15: late", "16: paid", "17: lost", "18: gone", "19: new")
	a.setOrders(t, "19 paid")
	shows("15: late", "16: paid", "17: lost", "18: gone", "19: paid")
	loaded(2)

	// Redis comes back as it was a while ago, while the page is connected.
	const before = "orders-before"
	a.redis.Do("COPY", ordersStream, before)
	a.setOrders(t, "19 lost")
	shows("15: late", "16: paid", "17: lost", "18: gone", "19: lost")
	a.redis.Do("DEL", ordersKey)
	a.redis.Do("HSET", ordersKey, "20", "new")
	a.redis.Do("RENAME", before, ordersStream)
	shows("20: new")
}
