package access

import (
	"net"
	"net/http"
	"time"
)

// maxResponseHeader bounds the header of an answer, in bytes.
const maxResponseHeader = 64 << 10

// newTransport returns a transport for one server that keeps up to idle
// connections open. A request's own deadline bounds the rest.
func newTransport(idle int) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           idle,
		MaxIdleConnsPerHost:    idle,
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: maxResponseHeader,
		DisableCompression:     true,
	}
}

// noRedirect makes a redirect an answer like any other: it must not lead the
// gateway, or a client's credentials, to another place.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
