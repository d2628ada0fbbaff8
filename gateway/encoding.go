package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/sse-gateway/sse-gateway/gateway/internal/deflate"
)

// gzips reports whether the answer to a request has the content coding gzip.
func (g *Gateway) gzips(r *http.Request) bool { return g.cfg.GzipMemory > 0 && acceptsGzip(r.Header) }

// acceptsGzip reports whether a client takes gzip, and does not rather have no coding
// (RFC 9110, section 12.5.3).
func acceptsGzip(h http.Header) bool {
	const none = -1
	gzip, identity, other := float64(none), float64(none), float64(none)
	for _, v := range h.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(v, ",") {
			coding, parameters, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				gzip = max(gzip, quality(parameters))
			case "identity":
				identity = quality(parameters)
			case "*":
				other = quality(parameters)
			}
		}
	}
	if gzip == none {
		gzip = other
	}
	return gzip > 0 && gzip >= identity
}

// quality reads the weight of a coding (RFC 9110, section 12.4.2): 1 if there is none,
// and 0, which refuses the coding, if it means nothing.
func quality(parameters string) float64 {
	parameters = strings.ToLower(strings.TrimSpace(parameters))
	if parameters == "" {
		return 1
	}
	q, err := strconv.ParseFloat(strings.TrimPrefix(parameters, "q="), 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}

// gzipPage returns the JSON of a page as gzip. Each event is compressed by itself, as in
// a stream, and the rest of the page not at all.
func gzipPage(body []byte, events []json.RawMessage) []byte {
	out := append(make([]byte, 0, len(body)/2), deflate.Header...)
	rest := body
	for _, e := range events {
		text, _ := json.Marshal(e) // as it stands in body
		block := deflate.Compress(text)
		i := bytes.Index(rest, text)
		if len(block.Data) == 0 || i < 0 {
			continue // it stays in rest, and is stored
		}
		out = append(deflate.AppendStored(out, rest[:i]), block.Data...)
		rest = rest[i+len(text):]
	}
	return deflate.AppendEnd(deflate.AppendStored(out, rest), deflate.Sum{}.Add(body))
}
