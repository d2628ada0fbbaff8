// Package browsertest starts a real Chromium for tests.
package browsertest

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// The size of a window, in pixels: that of a small laptop's screen.
const (
	width  = 1360
	height = 900
)

// Start starts one headless Chromium, with a new profile, and returns the
// context to make its tabs from (chromedp.NewContext). It ends with the test;
// a subtest may use that of its parent. A missing program fails the test.
func Start(t testing.TB) context.Context {
	t.Helper()
	alloc, stop := chromedp.NewExecAllocator(t.Context(),
		chromedp.ExecPath(redistest.Command(t, "chromium", "chromium")), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		// A container's /dev/shm is too small for it.
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WindowSize(width, height))
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal("Chromium does not start: ", err)
	}
	return ctx
}

// Do takes steps in a tab and fails the test if one fails, or if all together
// take longer than within.
func Do(t testing.TB, tab context.Context, within time.Duration, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, within)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// Evaluate returns the value of a JavaScript expression in a tab.
func Evaluate[T any](t testing.TB, tab context.Context, within time.Duration, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, within)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}
