package clients

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// pageClient is a client that a page runs.
type pageClient struct {
	Name   string `json:"name"`
	Driver string `json:"driver"`
	URL    string `json:"url"`
	reader *reader
}

// page is the clients of one browser.
type page struct {
	browser string
	Drivers []string     `json:"drivers"` // modules, by their URL
	Clients []pageClient `json:"clients"`
}

// pages are those of a test, by browser.
type pages map[string]*page

// start starts a client, or adds it to the page that is to run it.
func (all pages) start(c client, r *reader) {
	if c.start != nil {
		c.start(r.t.Context(), r)
		return
	}
	if all[c.browser] == nil {
		all[c.browser] = &page{browser: c.browser}
	}
	p, module := all[c.browser], cmp.Or(c.module, "/native.mjs")
	if !slices.Contains(p.Drivers, module) {
		p.Drivers = append(p.Drivers, module)
	}
	p.add(c.driver, r)
}

// open has the browsers open the pages.
func (all pages) open(t *testing.T, app *application) {
	t.Helper()
	for _, p := range all {
		p.open(t, app)
	}
}

// add adds a client. Each has a host name of its own: a browser opens six
// connections to a host at most.
func (p *page) add(driver string, r *reader) {
	u, err := url.Parse(r.url)
	if err != nil {
		r.t.Fatal(err)
	}
	u.Host = fmt.Sprintf("client-%d.localhost:%s", len(p.Clients), u.Port())
	p.Clients = append(p.Clients, pageClient{r.name, driver, u.String(), r})
}

// open has the browser open the page.
func (p *page) open(t *testing.T, app *application) {
	t.Helper()
	app.mu.Lock()
	app.pages[p.browser] = p
	app.mu.Unlock()
	dir := browserHome(t)
	at := app.URL + "/page.html?" + p.browser
	env := []string{"HOME=" + dir, "XDG_RUNTIME_DIR=" + dir}
	switch p.browser {
	case "chromium":
		startProcess(t, env, nil, redistest.Command(t, "chromium", "chromium"), "--headless=new", "--no-sandbox", "--disable-gpu",
			"--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-extensions", "--user-data-dir="+dir, at)
	case "firefox":
		startProcess(t, env, nil, redistest.Command(t, "firefox-esr", "firefox-esr"), "--headless", "--no-remote", "--profile", dir, at)
	}
}

// browserHome is a directory that is removed at the end of the test, when the
// browser has ended, though a child of it may still be writing.
func browserHome(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { redistest.Poll(patience, func() bool { return os.RemoveAll(dir) == nil }) })
	// Firefox asks nobody anything, and opens no page of its own.
	prefs := `user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.normandy.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
`
	if err := os.WriteFile(filepath.Join(dir, "user.js"), []byte(prefs), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// serveClients tells a page what to run.
func (a *application) serveClients(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	p := a.pages[r.URL.RawQuery]
	a.mu.Unlock()
	if p == nil {
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(p)
}

// report takes what the clients of a page were sent.
func (a *application) report(_ http.ResponseWriter, r *http.Request) {
	var got []struct{ Name, Data string }
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
		a.t.Errorf("report: %v", err)
	}
	a.mu.Lock()
	readers := map[string]*reader{}
	for _, p := range a.pages {
		for _, c := range p.Clients {
			readers[c.Name] = c.reader
		}
	}
	a.mu.Unlock()
	for _, m := range got {
		if r := readers[m.Name]; r != nil {
			r.message(m.Data)
		}
	}
}
