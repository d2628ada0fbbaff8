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

type publishRequest struct {
	Channel string `json:"channel"`
	Event   string `json:"event"`
	Data    string `json:"data"`
}

// publisher is the trust boundary of publishing: only this page, in a browser
// that says so or a client that is no browser, may ask, and only in JSON, which
// another site's form cannot send.
func publisher(opts Options) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := sameOrigin.Check(r); err != nil {
			writeProblem(w, http.StatusForbidden, "publishing is for this gateway's own page only")
			return
		}
		if isBrowser(r) && !IsOwnHost(r.Host) {
			writeProblem(w, http.StatusForbidden, "to publish, open the page at an IP address or at localhost, not under a name that anybody's DNS may have")
			return
		}
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			writeProblem(w, http.StatusUnsupportedMediaType, "the content type must be application/json")
			return
		}
		var req publishRequest
		if status, detail := decodePublish(w, r, &req); status != 0 {
			writeProblem(w, status, detail)
			return
		}
		id, err := opts.Publish(r.Context(), req.Channel, req.Event, req.Data)
		if err != nil {
			opts.Logger.Warn("console: publish failed", "channel", req.Channel, "err", err)
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

// decodePublish reads and checks the request. It returns status 0, or the
// refusal's status and detail.
func decodePublish(w http.ResponseWriter, r *http.Request, req *publishRequest) (status int, detail string) {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPublishBytes))
	dec.DisallowUnknownFields()
	err := dec.Decode(req)
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
		return http.StatusRequestEntityTooLarge, "the event is too large"
	case err != nil:
		return http.StatusBadRequest, `the body must be {"channel":…,"event":…,"data":…}, all text`
	case !pattern.ValidChannel(req.Channel):
		return http.StatusBadRequest, "a channel is 1 to 200 of A-Z a-z 0-9 _ . : / { } -"
	}
	return 0, ""
}
