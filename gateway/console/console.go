// Package console serves the gateway's web page: one HTML document without
// outside assets that connects to the gateway's own event streams and shows
// what arrives, byte by byte if asked.
//
// The page's source is the readable files under assets. They are put together
// into one document when the Handler is made, so that there is no build step
// and the Content-Security-Policy can name the page's only style sheet and only
// script by their hashes.
package console

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"
)

// Paths that Handler answers. Any other path is 404.
const (
	pagePath    = "/"
	publishPath = "/console/publish"
	statsPath   = "/console/stats"
	channelPath = "/console/channels"
)

// Options is what the page is told about the gateway it belongs to. The zero
// value is a page for a gateway with the default settings, without publishing
// and without statistics.
type Options struct {
	// KeyPrefix is what the gateway puts before a channel to get its Redis key.
	KeyPrefix string
	// RedisHint is how a reader of the page calls redis-cli for this gateway,
	// such as "redis-cli -p 6379". Empty means "redis-cli". It must hold no
	// password: everyone who may open the page reads it.
	RedisHint string
	// Dev says that this is the all-in-one development server. The page then
	// says so, and a failed publish tells its cause.
	Dev bool
	// DefaultChannels are in the channel field when the page opens.
	DefaultChannels []string
	// EventsURL is where the page subscribes; empty means "/events". If it is
	// absolute, its origin is added to the policy's connect-src.
	EventsURL string
	// Publish appends one event to a channel and returns its id. Nil leaves
	// the publish form and its endpoint out. The channel is valid by the
	// contract; event and data are whatever was typed. It is called
	// concurrently; its context ends with the request.
	Publish func(ctx context.Context, channel, event, data string) (id string, err error)
	// Stats returns the replica's present figures. Nil leaves the gateway's
	// charts and their endpoint out. It is called concurrently, about every
	// two seconds for each open page, and must not block.
	Stats func() Stats
	// Channels returns what the admin listener answers to /channels, to be encoded
	// as JSON. Nil leaves the replica's part in the table of channels and its
	// endpoint out. It is called as Stats is. Whoever may open the page can read the
	// result, channel names included.
	Channels func() any
	// Logger gets failed publishes. Nil means slog.Default().
	Logger *slog.Logger
}

// Handler returns the console: GET and HEAD of / answer the page, and, where
// the options have them, POST /console/publish, GET /console/stats and GET
// /console/channels. It is
// safe for concurrent use. It panics if the embedded assets do not fit together
// or opts.EventsURL is no URL, which is a mistake in the program.
func Handler(opts Options) http.Handler {
	if opts.RedisHint == "" {
		opts.RedisHint = "redis-cli"
	}
	if opts.EventsURL == "" {
		opts.EventsURL = "/events"
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	page, err := buildPage(opts)
	if err != nil {
		panic("console: " + err.Error())
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+pagePath+"{$}", page)
	if opts.Publish != nil {
		mux.Handle("POST "+publishPath, publisher(opts))
	}
	if opts.Stats != nil {
		mux.HandleFunc("GET "+statsPath, func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, "application/json", opts.Stats().withLists())
		})
	}
	if opts.Channels != nil {
		mux.HandleFunc("GET "+channelPath, func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, "application/json", opts.Channels())
		})
	}
	return problems(mux)
}

// ServeHTTP answers the page, or 304 to a browser that has this build of it.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.policy)
	h.Set("X-Frame-Options", "DENY") // for browsers without frame-ancestors
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("ETag", p.etag)
	// No modification time: embedded files have none, the ETag decides.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.html))
}

// writeJSON answers v as JSON that no cache keeps.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil { // a value of this package that is not JSON: NaN in Stats
		http.Error(w, "cannot encode the answer", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client is gone: nobody to tell
}
