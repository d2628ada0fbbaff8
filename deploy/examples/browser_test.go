package main

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/sse-gateway/sse-gateway/gateway/console/browsertest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// page is a page that is open in the browser until the end of the test. A
// script that fails on it fails the test.
type page struct {
	t   *testing.T
	ctx context.Context
}

func open(t *testing.T, browser context.Context, url string) *page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	p := &page{t, ctx}
	failed := make(chan string, 16)
	err := chromedp.Listen(ctx, func(ev any) {
		if thrown, ok := ev.(*runtime.EventExceptionThrown); ok {
			details, _ := json.Marshal(thrown.ExceptionDetails)
			select {
			case failed <- string(details):
			default:
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for len(failed) > 0 {
			t.Errorf("%s: a script failed: %s", url, <-failed)
		}
	})
	p.do(chromedp.Navigate(url))
	return p
}

func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	browsertest.Do(p.t, p.ctx, patience, steps...)
}

// texts returns what the elements that a selector finds say.
func (p *page) texts(selector string) []string {
	p.t.Helper()
	quoted, err := json.Marshal(selector)
	if err != nil {
		p.t.Fatal(err)
	}
	return browsertest.Evaluate[[]string](p.t, p.ctx, patience, `[...document.querySelectorAll(`+string(quoted)+`)].map((e) => e.innerText)`)
}

// until waits until what a selector finds satisfies ok.
func (p *page) until(what, selector string, ok func(texts []string) bool) {
	p.t.Helper()
	var last []string
	defer func() {
		if p.t.Failed() {
			p.t.Logf("%s: %q", selector, last)
		}
	}()
	redistest.Eventually(p.t, patience, what, func() bool {
		last = p.texts(selector)
		return ok(last)
	})
}
