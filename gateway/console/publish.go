package console

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/sse-gateway/sse-gateway/gateway/access/pattern"
)

// maxPublishBytes bounds a publish request: one event of the gateway's default
// limit of 1 MiB, every byte of it escaped as \u00xx would not fit, text does.
const maxPublishBytes = 2 << 20

// Event is what the page asks to be published.
type Event struct {
	Channel string `json:"channel"`
	Name    string `json:"event"`
	Data    string `json:"data"`
	// End ends the channel. Data that is empty is then left out.
	End bool `json:"end"`
	// Keep is how many entries the stream keeps; 0 is all, as everywhere but in the
	// tour's own channels.
	Keep int64 `json:"keep"`
}

func publisher(opts Options) http.Handler {
	return guarded(func(w http.ResponseWriter, r *http.Request) {
		var event Event
		status, detail := decode(w, r, &event)
		if status == 0 {
			status, detail = event.check()
		}
		if status != 0 {
			writeProblem(w, status, detail)
			return
		}
		id, err := opts.Publish(r.Context(), event)
		if err != nil {
			opts.Logger.Warn("console: publish failed", "channel", event.Channel, "err", err)
			detail := "the event could not be written to Redis"
			if opts.Dev {
				detail += ": " + err.Error()
			}
			writeProblem(w, http.StatusBadGateway, detail)
			return
		}
		writeJSON(w, http.StatusOK, "application/json", map[string]string{"id": id})
	})
}

// check returns status 0, or the refusal's status and detail.
func (e *Event) check() (status int, detail string) {
	switch {
	case !pattern.ValidChannel(e.Channel):
		return http.StatusBadRequest, "a channel is 1 to 200 of A-Z a-z 0-9 _ . : / { } -"
	case e.Keep < 0 || e.Keep > 0 && !IsTourChannel(e.Channel):
		return http.StatusBadRequest, "only the streams of the tour are trimmed"
	}
	return 0, ""
}

// guarded is the trust boundary of what changes something: only this page, in a
// browser that says so or a client that is no browser, may ask, and only in JSON,
// which another site's form cannot send.
func guarded(next http.HandlerFunc) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := sameOrigin.Check(r); err != nil {
			writeProblem(w, http.StatusForbidden, "this is for the gateway's own page only")
			return
		}
		if isBrowser(r) && !IsOwnHost(r.Host) {
			writeProblem(w, http.StatusForbidden, "open the page at an IP address or at localhost, not under a name that anybody's DNS may have")
			return
		}
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			writeProblem(w, http.StatusUnsupportedMediaType, "the content type must be application/json")
			return
		}
		next(w, r)
	})
}

// isBrowser reports whether a browser says that it asks, as all do for a POST.
func isBrowser(r *http.Request) bool {
	return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
}

// IsOwnHost reports whether no other site's page can have been opened under a
// request's Host. Anybody's name may be made to lead here once its page is loaded
// (DNS rebinding), and then that page counts as this gateway's own.
func IsOwnHost(host string) bool {
	u := url.URL{Host: host}
	name := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	_, err := netip.ParseAddr(name)
	return err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// decode reads the body, which must be one JSON object. It returns status 0, or the
// refusal's status and detail.
func decode(w http.ResponseWriter, r *http.Request, v any) (status int, detail string) {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPublishBytes))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		if _, more := dec.Token(); more == nil {
			return http.StatusBadRequest, "the body must be one JSON object"
		} else if !errors.Is(more, io.EOF) {
			err = more
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, "the body is too large"
	case err != nil:
		return http.StatusBadRequest, "the body is not the JSON object that is expected here"
	}
	return 0, ""
}
