package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/store"
)

// startKind is where a stream starts.
type startKind uint8

const (
	startNow startKind = iota
	startAfter
	startSince
	startLast
	startAll
	startUnknown // an id that cannot be understood: now, and a gap that says so
)

// request is what a client asks for. It is the trust boundary for the query
// and the Last-Event-ID.
type request struct {
	channels []string // sorted, without repeats
	envelope bool
	start    startKind
	after    []store.ID // of startAfter, one per channel
	since    time.Time
	last     int
}

// parseRequest reads a request for a stream of at most maxChannels channels.
// The error is the client's to read.
func parseRequest(r *http.Request, maxChannels int, now time.Time) (*request, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errors.New("the query string is malformed")
	}
	req := &request{channels: slices.Clone(q["channel"])}
	slices.Sort(req.channels)
	req.channels = slices.Compact(req.channels)
	switch n := len(req.channels); {
	case n == 0:
		return nil, errors.New("no channel: name at least one, as in /events?channel=orders")
	case n > maxChannels:
		return nil, fmt.Errorf("%d channels: at most %d fit into one connection", n, maxChannels)
	}
	for _, c := range req.channels {
		if !access.ValidChannel(c) {
			return nil, fmt.Errorf("channel %s: a name is 1 to %d of A-Z a-z 0-9 _ . : / { } -", excerpt(c), access.MaxChannel)
		}
	}
	switch v := q.Get("envelope"); v {
	case "":
	case "json":
		req.envelope = true
	default:
		return nil, fmt.Errorf("envelope %s: the only one is json", excerpt(v))
	}
	if err := req.parseStart(r, q, now); err != nil {
		return nil, err
	}
	return req, nil
}

// parseStart decides where the stream starts: the first of these that is given
// wins. All of them are checked, so that a wrong URL fails at its first use
// and not when a browser comes back without a Last-Event-ID.
func (req *request) parseStart(r *http.Request, q url.Values, now time.Time) error {
	if v := q.Get("replay"); v == "all" {
		req.start = startAll
	} else if v != "" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil {
			return fmt.Errorf("replay %s: it is a number of events, or all", excerpt(v))
		}
		req.start, req.last = startLast, int(n)
	}
	if v := q.Get("since"); v != "" {
		t, err := parseSince(v, now)
		if err != nil {
			return err
		}
		req.start, req.since = startSince, t
	}
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		id = q.Get("last_event_id")
	}
	if id == "" {
		return nil
	}
	var ok bool
	if req.after, ok = sse.ParsePosition(id, req.channels); ok {
		req.start = startAfter
	} else {
		req.start = startUnknown
	}
	return nil
}

// parseSince reads a moment: RFC 3339, Unix milliseconds, or how long ago.
func parseSince(s string, now time.Time) (time.Time, error) {
	if ms, err := strconv.ParseUint(s, 10, 63); err == nil {
		return time.UnixMilli(int64(ms)), nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	// In a query, the + of a time zone arrives as a space.
	if t, err := time.Parse(time.RFC3339, strings.ReplaceAll(s, " ", "+")); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("since %s: it is a time as in 2006-01-02T15:04:05Z, Unix milliseconds, or a duration such as 10m", excerpt(s))
}

// maxExcerpt is how much of a value an error shows, in bytes before quoting.
const maxExcerpt = 60

// excerpt quotes what a client sent, as printable ASCII and at a length that
// can be shown.
func excerpt(s string) string {
	if len(s) > maxExcerpt {
		return strconv.QuoteToASCII(s[:maxExcerpt]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
