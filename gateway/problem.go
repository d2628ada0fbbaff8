package gateway

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/conn"
)

// problem is a refusal: a status, a message that anybody may read, and a cause
// that nobody but the log gets.
type problem struct {
	status int
	detail string
	reason string // metric label
	cause  error
	// temporary means that the same request may succeed in a while.
	temporary bool
	challenge string // WWW-Authenticate, "" for none
}

func (p *problem) Error() string {
	if p.cause != nil {
		return fmt.Sprintf("%s: %v", p.detail, p.cause)
	}
	return p.detail
}

func (p *problem) Unwrap() error { return p.cause }

// The range of the retry: of a temporary refusal. Clients that are turned away
// together do not come back together.
const (
	minRefusalRetry = 5 * time.Second
	maxRefusalRetry = 15 * time.Second
)

// write answers a request that is refused.
func (p *problem) write(w http.ResponseWriter, r *http.Request) {
	retry := minRefusalRetry + rand.N(maxRefusalRetry-minRefusalRetry)
	h := w.Header()
	q, _ := ownQuery(r)
	if status, _ := refusalStatus(r, q); p.temporary && status == http.StatusOK {
		conn.SetStreamHeaders(h)
		// HTTP/2 would take it for the end of a connection that other clients
		// of a load balancer share.
		if r.ProtoMajor == 1 {
			h.Set("Connection", "close")
		}
		fmt.Fprintf(w, "retry: %d\n: %s\n", retry.Milliseconds(), p.detail)
		return
	}
	if p.status == http.StatusNoContent {
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(p.status)
		return
	}
	if p.challenge != "" {
		h.Set("WWW-Authenticate", p.challenge)
	}
	if p.temporary {
		h.Set("Retry-After", strconv.Itoa(int(retry.Seconds()+1)))
	}
	writeProblem(w, p.status, p.detail)
}

// writeProblem answers with application/problem+json (RFC 9457).
func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(status), status, detail})
}

// refusalStatus returns the status of a temporary refusal. A native EventSource
// gives up for good on any status but 200. For a client on top of fetch an orderly
// end of a 200 may be final: it gets 503. Such a client is known by its
// Authorization, which an EventSource cannot send, and may say what it wants by
// the parameter refusal. The error is about that one.
func refusalStatus(r *http.Request, q url.Values) (int, error) {
	switch v := q.Get("refusal"); v {
	case "":
	case "200":
		return http.StatusOK, nil
	case "503":
		return http.StatusServiceUnavailable, nil
	default:
		return http.StatusServiceUnavailable, fmt.Errorf("refusal %s: it is 200 or 503", excerpt(v))
	}
	if accepts(r, "text/event-stream") && r.Header.Get("Authorization") == "" {
		return http.StatusOK, nil
	}
	return http.StatusServiceUnavailable, nil
}

// accepts reports whether the client names a media type among those that it reads.
func accepts(r *http.Request, mediaType string) bool {
	for _, v := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(v, ",") {
			if mime, _, _ := strings.Cut(part, ";"); strings.EqualFold(strings.TrimSpace(mime), mediaType) {
				return true
			}
		}
	}
	return false
}
