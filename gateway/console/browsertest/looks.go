package browsertest

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Prefer sets the colour scheme that the system asks for: light or dark.
func Prefer(theme string) chromedp.Action[chromedp.Void] {
	feature := &emulation.MediaFeature{Name: "prefers-color-scheme", Value: theme}
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia,
			emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{feature}})
		return err
	})
}

// Shoot saves a picture of a tab as a PNG file: chromedp.CaptureScreenshot() is what the
// window shows, chromedp.FullScreenshot(100) the whole page.
func Shoot(t testing.TB, tab context.Context, within time.Duration, picture chromedp.Action[[]byte], path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab, within)
	defer cancel()
	png, err := chromedp.Run(ctx, picture)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, png, 0o600); err != nil {
		t.Fatal(err)
	}
}
