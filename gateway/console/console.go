// Package console serves the gateway's web page, which connects to the gateway's own
// event streams and shows what arrives, byte by byte if asked.
//
// The page is the files under assets: style sheets and ES modules, embedded and
// served as they are, without a build step. Its Content-Security-Policy allows
// these files and nothing from elsewhere.
package console

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
)

// Paths that Handler answers. Any other path is 404.
const (
	pagePath    = "/"
	consolePath = "/console/" // the page's files
	publishPath = consolePath + "publish"
	statsPath   = consolePath + "stats"
	channelPath = consolePath + "channels"
	tourPath    = consolePath + "tour/"
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
	// contract; name and data are whatever was typed. It is called
	// concurrently; its context ends with the request.
	Publish func(ctx context.Context, event Event) (id string, err error)
	// Tour has the page begin with a tour, for which Publish is needed as well. Nil
	// leaves it out.
	Tour *Tour
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

// Handler returns the console: GET and HEAD of / answer the page, those of
// /console/ its files, and, where the options have them, POST /console/publish,
// GET /console/stats, GET /console/channels and those of /console/tour/. It is safe for concurrent use. It
// panics if opts.EventsURL is no URL, which is a mistake in the program.
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
	mux := http.NewServeMux()
	if err := handlePage(mux, opts); err != nil {
		panic("console: " + err.Error())
	}
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
	if opts.Tour != nil {
		opts.Tour.handle(mux)
	}
	return problems(mux)
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
