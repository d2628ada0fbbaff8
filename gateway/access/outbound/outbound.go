// Package outbound is for requests that the gateway itself makes: to the server of keys
// and to the application. Their URLs may hold secrets, which nothing shows.
package outbound

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// MaxResponseHeader bounds the header of an answer, in bytes.
const MaxResponseHeader = 64 << 10

// NewClient returns a client that takes a redirect for an answer like any other: it must
// not lead the gateway, or a client's credentials, to another place.
func NewClient(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, CheckRedirect: noRedirect}
}

// NewTransport returns a transport for one server that keeps up to idle connections
// open. A request's own deadline bounds the rest. It asks no proxy, whatever the
// environment says.
func NewTransport(idle int) *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           idle,
		MaxIdleConnsPerHost:    idle,
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: MaxResponseHeader,
		DisableCompression:     true,
	}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// WithoutURL drops the URL, whose query may be a secret, from an error of net/http.
func WithoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// Masked stands for a secret wherever one would be printed.
const Masked = "***"

// MaskURL returns a URL for messages: without user, password and query, which may hold
// secrets. What is not a URL is masked as a whole.
func MaskURL(raw string) string {
	if raw == "" {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return Masked
	}
	if u.User != nil {
		u.User = url.User("xxx")
	}
	if u.RawQuery != "" {
		u.RawQuery = "xxx"
	}
	u.Fragment, u.RawFragment = "", ""
	return u.String()
}
