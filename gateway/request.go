package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/access/pattern"
	"github.com/sse-gateway/sse-gateway/gateway/internal/content"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
	"github.com/sse-gateway/sse-gateway/store"
)

// request is what a client asks for. It is the trust boundary for the query
// and the Last-Event-ID.
type request struct {
	channels []string        // sorted, without repeats
	starts   []content.Start // of each channel
	unknown  bool            // the client's position was not understood: it starts now, with a gap that says so
	envelope bool
	newest   bool // deliver=latest
	ping     bool // heartbeat=event
	poll     bool // one page as JSON
	limit    int  // of its events
	wait     time.Duration
}

// parseRequest reads a request for a stream of at most maxChannels channels.
// The error is the client's to read.
func parseRequest(r *http.Request, maxChannels int, now time.Time) (*request, error) {
	q, err := ownQuery(r)
	if err != nil {
		return nil, errors.New("the query string is malformed")
	}
	req := &request{}
	positions, err := req.parseChannels(q["channel"], maxChannels)
	if err != nil {
		return nil, err
	}
	for _, option := range []struct {
		name, value string
		set         *bool
	}{
		{"envelope", "json", &req.envelope}, {"deliver", "latest", &req.newest}, {"heartbeat", "event", &req.ping},
	} {
		switch v := q.Get(option.name); v {
		case "":
		case option.value:
			*option.set = true
		default:
			return nil, fmt.Errorf("%s %s: the only one is %s", option.name, excerpt(v), option.value)
		}
	}
	if _, err := refusalStatus(r, q); err != nil {
		return nil, err
	}
	if err := req.parsePoll(r, q); err != nil {
		return nil, err
	}
	if err := req.parseStart(r, q, positions, now); err != nil {
		return nil, err
	}
	return req, nil
}

// ownQuery returns the parameters that are the gateway's, and those alone: package
// access takes any other for a possible credential, so none may slip in here that it
// does not know.
func ownQuery(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	maps.DeleteFunc(q, func(name string, _ []string) bool { return !slices.Contains(access.Params, name) })
	return q, err
}

// The limits of a poll.
const (
	defaultPage = 100 // events
	maxPage     = 1000
	maxWait     = time.Minute
)

// isPoll reports whether a request is for one page as JSON.
func isPoll(r *http.Request) bool {
	return accepts(r, "application/json") && !accepts(r, "text/event-stream")
}

// parsePoll reads what a poll asks for. It is checked of streams, too, which it means
// nothing to, because the same URL serves both.
func (req *request) parsePoll(r *http.Request, q url.Values) (err error) {
	req.poll = isPoll(r)
	req.limit = defaultPage
	if v := q.Get("limit"); v != "" {
		if req.limit, err = strconv.Atoi(v); err != nil || req.limit < 1 || req.limit > maxPage {
			return fmt.Errorf("limit %s: it is a number of events from 1 to %d", excerpt(v), maxPage)
		}
	}
	if v := q.Get("wait"); v != "" {
		if req.wait, err = time.ParseDuration(v); err != nil || req.wait < 0 || req.wait > maxWait {
			return fmt.Errorf("wait %s: it is a duration from 0s to %v, such as 25s", excerpt(v), maxWait)
		}
	}
	return nil
}

// parseChannels reads the channels, each with or without a position of its own:
// name or name@id. positions has those that were given.
func (req *request) parseChannels(values []string, maxChannels int) (positions map[string]store.ID, err error) {
	for _, v := range values {
		name, text, positioned := strings.Cut(v, "@")
		if !pattern.ValidChannel(name) {
			return nil, fmt.Errorf("channel %s: a name is 1 to %d of A-Z a-z 0-9 _ . : / { } -", excerpt(name), pattern.MaxChannel)
		}
		req.channels = append(req.channels, name)
		if !positioned {
			continue
		}
		ids, ok := sse.ParsePosition(text, []string{name})
		if !ok {
			return nil, fmt.Errorf("channel %s: what follows the @ is the id of an entry, as in orders@1700000000000-0", excerpt(v))
		}
		if other, twice := positions[name]; twice && other != ids[0] {
			return nil, fmt.Errorf("channel %s has two positions, %s and %s", excerpt(name), other, ids[0])
		}
		if positions == nil {
			positions = make(map[string]store.ID)
		}
		positions[name] = ids[0]
	}
	slices.Sort(req.channels)
	req.channels = slices.Compact(req.channels)
	switch n := len(req.channels); {
	case n == 0:
		return nil, errors.New("no channel: name at least one, as in /events?channel=orders")
	case n > maxChannels:
		return nil, fmt.Errorf("%d channels: at most %d fit into one connection", n, maxChannels)
	}
	return positions, nil
}

// parseStart decides where each channel starts: the first of these that is given
// wins. All of them are checked, so that a wrong URL fails at its first use
// and not when a browser comes back without a Last-Event-ID.
func (req *request) parseStart(r *http.Request, q url.Values, positions map[string]store.ID, now time.Time) error {
	var general content.Start
	if v := q.Get("replay"); v == "all" {
		general.Kind = content.StartAll
	} else if v != "" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil {
			return fmt.Errorf("replay %s: it is a number of events, or all", excerpt(v))
		}
		general = content.Start{Kind: content.StartLast, Last: int(n)}
	}
	if v := q.Get("since"); v != "" {
		t, err := parseSince(v, now)
		if err != nil {
			return err
		}
		general = content.Start{Kind: content.StartSince, Since: t}
	}
	req.starts = make([]content.Start, len(req.channels))
	if id := clientPosition(r, q); id != "" {
		after, ok := sse.ParsePosition(id, req.channels)
		req.unknown = !ok
		for i := range after {
			req.starts[i] = content.Start{Kind: content.StartAfter, After: after[i]}
		}
		return nil
	}
	for i, channel := range req.channels {
		req.starts[i] = general
		if id, ok := positions[channel]; ok {
			req.starts[i] = content.Start{Kind: content.StartAfter, After: id}
		}
	}
	return nil
}

// clientPosition returns the position that the client says it has, "" if it says
// none. A browser keeps the URL when it reconnects, so what it adds wins over
// what the URL had from the beginning: the header, or lastEventId, which
// event-source-polyfill adds instead.
func clientPosition(r *http.Request, q url.Values) string {
	return cmp.Or(r.Header.Get("Last-Event-ID"), q.Get("lastEventId"), q.Get("last_event_id"))
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
