package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access/pattern"
)

//go:embed assets/index.html assets/*.css assets/*.mjs
var assets embed.FS

// contentTypes are those of the assets by extension. Package mime would ask the
// machine's own tables, and browsers refuse a module of any other type.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".mjs":  "text/javascript; charset=utf-8",
}

// settingsMark is where index.html gets its settings.
const settingsMark = "{{settings}}"

// settings is what the page's script reads from its JSON block.
type settings struct {
	KeyPrefix string   `json:"keyPrefix"`
	RedisHint string   `json:"redisHint"`
	Dev       bool     `json:"dev"`
	Channels  []string `json:"channels"`
	EventsURL string   `json:"eventsUrl"`
	Publish   bool     `json:"publish"`
	Tour      string   `json:"tour"` // what the tour's channels begin with; "" is no tour
	Stats     bool     `json:"stats"`
	Served    bool     `json:"served"`  // the page may ask which channels the replica serves
	Channel   string   `json:"channel"` // the regular expression of a channel's name
}

// file is one file of the page. It never changes.
type file struct {
	contentType, etag string
	body              []byte
}

func newFile(name string, body []byte) *file {
	sum := sha256.Sum256(body)
	return &file{contentType: contentTypes[path.Ext(name)], etag: `"` + hex.EncodeToString(sum[:12]) + `"`, body: body}
}

// ServeHTTP answers the file, or 304 to a browser that has it.
func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", f.contentType)
	w.Header().Set("ETag", f.etag)
	// No modification time: embedded files have none, the ETag decides.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}

// handlePage adds the document at / and its style sheets and modules, which are
// served as they are, to the mux.
func handlePage(mux *http.ServeMux, opts Options) error {
	names, err := fs.Glob(assets, "assets/*")
	if err != nil {
		return err
	}
	for _, name := range names {
		body, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		if path.Ext(name) != ".html" {
			mux.Handle("GET "+consolePath+path.Base(name), newFile(name, body))
		}
	}
	document, err := newDocument(opts)
	if err != nil {
		return err
	}
	policy, err := contentPolicy(opts.EventsURL)
	if err != nil {
		return err
	}
	mux.HandleFunc("GET "+pagePath+"{$}", func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Frame-Options", "DENY") // for browsers without frame-ancestors
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		document.ServeHTTP(w, r)
	})
	return nil
}

// newDocument is index.html with its settings.
func newDocument(opts Options) (*file, error) {
	html, err := assets.ReadFile("assets/index.html")
	if err != nil {
		return nil, err
	}
	if bytes.Count(html, []byte(settingsMark)) != 1 {
		return nil, fmt.Errorf("index.html must have %s exactly once", settingsMark)
	}
	tour := ""
	if opts.Tour != nil {
		tour = tourPrefix
	}
	// json.Marshal escapes <, > and &, so no setting can end the script block.
	config, err := json.Marshal(settings{
		KeyPrefix: opts.KeyPrefix, RedisHint: opts.RedisHint, Dev: opts.Dev,
		Channels: opts.DefaultChannels, EventsURL: opts.EventsURL,
		Publish: opts.Publish != nil, Tour: tour, Stats: opts.Stats != nil, Served: opts.Channels != nil,
		Channel: pattern.ChannelExpression,
	})
	if err != nil {
		return nil, err
	}
	return newFile("index.html", bytes.Replace(html, []byte(settingsMark), config, 1)), nil
}

// contentPolicy allows this page's own files and connections to where the events
// come from, and nothing else: no inline script or style, nothing from another
// origin. Trusted Types make the browser itself refuse to turn text into HTML.
func contentPolicy(eventsURL string) (string, error) {
	connect := "'self'"
	u, err := url.Parse(eventsURL)
	if err != nil {
		return "", err
	}
	if u.IsAbs() || u.Host != "" {
		if (u.Scheme != "http" && u.Scheme != "https") || strings.ContainsAny(u.Host, "; ,'\"") || u.Host == "" {
			return "", fmt.Errorf("events URL %q: must be a path or an http(s) URL", u.Redacted())
		}
		connect += " " + u.Scheme + "://" + u.Host
	}
	return strings.Join([]string{
		"default-src 'none'",
		"connect-src " + connect,
		"style-src 'self'",
		"script-src 'self'",
		"img-src data:", // the icon
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; "), nil
}
