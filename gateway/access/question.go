package access

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/sse-gateway/sse-gateway/gateway/access/address"
)

// The headers of forward authentication.
const (
	headerChannels = "X-Sse-Channels"
	headerURI      = "X-Original-Uri"
	headerMethod   = "X-Original-Method"
	headerAllowed  = "X-Sse-Channels-Allowed"
	headerLifetime = "X-Sse-Lifetime"
	headerSubject  = "X-Sse-Subject"
)

// question is what the application is asked about one request.
type question struct {
	header   http.Header
	channels []string // those that are not public, sorted
	// all stands for everything that is sent; who for the same without what
	// changes from one reconnect to the next.
	all, who digest
}

// newQuestion takes from the request only what the application is to know.
func newQuestion(r *http.Request, channels []string, trusted []netip.Prefix) question {
	channels = slices.Clone(channels)
	slices.Sort(channels)
	channels = slices.Compact(channels)
	h := http.Header{
		headerChannels: {strings.Join(channels, ",")},
		headerURI:      {r.URL.RequestURI()},
		headerMethod:   {r.Method},
		// Without one net/http would send its own.
		"User-Agent": {r.UserAgent()},
	}
	for _, name := range []string{"Cookie", "Authorization", "Origin"} {
		if v := r.Header[name]; len(v) > 0 {
			h[name] = slices.Clone(v)
		}
	}
	if client := address.OfClient(r, trusted); client.IsValid() {
		h["X-Forwarded-For"] = []string{client.String()}
	}
	h["X-Forwarded-Proto"] = []string{address.Scheme(r, trusted)}
	// Not a proxy's X-Forwarded-Host: most proxies pass on one that the client made
	// up, and an application may know its tenants by it.
	h["X-Forwarded-Host"] = []string{r.Host}
	who := h.Clone()
	who[headerURI] = []string{r.URL.EscapedPath() + "?" + foreignQuery(r.URL.RawQuery)}
	return question{header: h, channels: channels, all: digestOf(h), who: digestOf(who)}
}

// foreignQuery drops the gateway's own parameters from a query. What is left
// may be a credential, a ticket for example, so it must stay part of who asks.
// Only a name that is written plainly is dropped; any other makes no harm.
func foreignQuery(raw string) string {
	var keep []string
	for pair := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if !slices.Contains(Params, name) {
			keep = append(keep, pair)
		}
	}
	return strings.Join(keep, "&")
}

// digestOf hashes a header so that no two different ones are written alike:
// names in order, every part with its length before it.
func digestOf(h http.Header) digest {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	var b []byte
	part := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, name := range names {
		part(name)
		b = binary.AppendUvarint(b, uint64(len(h[name])))
		for _, v := range h[name] {
			part(v)
		}
	}
	return sha256.Sum256(b)
}
