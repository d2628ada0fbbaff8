package console

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

//go:embed assets/index.html assets/*.css assets/*.mjs
var assets embed.FS

// styleSheets are the page's style sheets in cascade order.
var styleSheets = []string{"theme.css", "layout.css", "parts.css", "events.css"}

// page is the finished document and what is sent with it. It never changes.
type page struct {
	html   []byte
	policy string // Content-Security-Policy
	etag   string
}

// settings is what the page's script reads from its JSON block.
type settings struct {
	KeyPrefix string   `json:"keyPrefix"`
	RedisHint string   `json:"redisHint"`
	Dev       bool     `json:"dev"`
	Channels  []string `json:"channels"`
	EventsURL string   `json:"eventsUrl"`
	Publish   bool     `json:"publish"`
	Stats     bool     `json:"stats"`
	Served    bool     `json:"served"` // the page may ask which channels the replica serves
}

// buildPage puts the document together from the embedded files.
func buildPage(opts Options) (*page, error) {
	template, err := assets.ReadFile("assets/index.html")
	if err != nil {
		return nil, err
	}
	style, err := concatenate(styleSheets)
	if err != nil {
		return nil, err
	}
	script, err := bundle(readAsset, "main.mjs")
	if err != nil {
		return nil, err
	}
	if err := inlineable(style, script); err != nil {
		return nil, err
	}
	// json.Marshal escapes <, > and &, so no setting can end the script block.
	config, err := json.Marshal(settings{
		KeyPrefix: opts.KeyPrefix, RedisHint: opts.RedisHint, Dev: opts.Dev,
		Channels: opts.DefaultChannels, EventsURL: opts.EventsURL,
		Publish: opts.Publish != nil, Stats: opts.Stats != nil, Served: opts.Channels != nil,
	})
	if err != nil {
		return nil, err
	}
	policy, err := contentPolicy(opts.EventsURL, style, script)
	if err != nil {
		return nil, err
	}
	html := string(template)
	for _, part := range []struct{ mark, text string }{
		{"/*{{style}}*/", style},
		{"/*{{settings}}*/", string(config)},
		{"/*{{script}}*/", script},
	} {
		if strings.Count(string(template), part.mark) != 1 {
			return nil, fmt.Errorf("index.html must have %s exactly once", part.mark)
		}
		html = strings.Replace(html, part.mark, part.text, 1)
	}
	sum := sha256.Sum256([]byte(html + policy))
	return &page{html: []byte(html), policy: policy, etag: `"` + hex.EncodeToString(sum[:12]) + `"`}, nil
}

func readAsset(name string) (string, error) {
	b, err := assets.ReadFile("assets/" + name)
	return string(b), err
}

func concatenate(names []string) (string, error) {
	var all strings.Builder
	for _, name := range names {
		text, err := readAsset(name)
		if err != nil {
			return "", err
		}
		all.WriteString(text)
	}
	return all.String(), nil
}

// inlineable refuses text that would end its element, or that HTML's script
// states would read differently, once it stands inside the document.
func inlineable(style, script string) error {
	if strings.Contains(strings.ToLower(style), "</style") {
		return fmt.Errorf("a style sheet contains </style")
	}
	for _, bad := range []string{"</script", "<script", "<!--"} {
		if strings.Contains(strings.ToLower(script), bad) {
			return fmt.Errorf("a script contains %s", bad)
		}
	}
	return nil
}

// contentPolicy allows this page's style sheet, its script and connections to
// where the events come from, and nothing else. Trusted Types make the browser
// itself refuse to turn text into HTML.
func contentPolicy(eventsURL, style, script string) (string, error) {
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
		"style-src " + sourceHash(style),
		"script-src " + sourceHash(script),
		"img-src data:", // the icon
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; "), nil
}

func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
