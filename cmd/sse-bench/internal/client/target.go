package client

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// ChannelMark stands for the channel in a URL template.
const ChannelMark = "{channel}"

// parsedMark replaces ChannelMark while net/url works on the template, which
// would escape the braces.
const parsedMark = "sse-bench-channel"

// target is one address of the list, resolved, with what its requests need.
// The request target is before, the channel or channels, after.
type target struct {
	addr          *net.TCPAddr
	host          string // Host header
	serverName    string // for TLS
	tls           bool
	native        bool // channels are written as channel=…&channel=…
	templated     bool // the channel stands between before and after
	before, after string
}

// newGatewayTarget reads the base URL of a gateway.
func newGatewayTarget(base string) (target, error) {
	t, u, err := resolve(base)
	if err != nil {
		return t, err
	}
	t.native = true
	t.before = strings.TrimSuffix(u.EscapedPath(), "/") + "/events?"
	return t, nil
}

// newURLTarget reads any server's SSE URL, in which {channel} may stand for the
// channel's name.
func newURLTarget(template string) (target, error) {
	t, u, err := resolve(strings.ReplaceAll(template, ChannelMark, parsedMark))
	if err != nil {
		return t, err
	}
	before, after, found := strings.Cut(u.RequestURI(), parsedMark)
	if strings.Contains(after, parsedMark) {
		return t, fmt.Errorf("%s has %s more than once", template, ChannelMark)
	}
	t.before, t.after, t.templated = before, after, found
	return t, nil
}

func resolve(raw string) (target, *url.URL, error) {
	var t target
	u, err := url.Parse(raw)
	if err != nil {
		return t, nil, err
	}
	port := u.Port()
	switch u.Scheme {
	case "http":
		if port == "" {
			port = "80"
		}
	case "https":
		t.tls = true
		if port == "" {
			port = "443"
		}
	default:
		return t, nil, fmt.Errorf("%q is not an http:// or https:// URL", raw)
	}
	if u.Hostname() == "" {
		return t, nil, fmt.Errorf("%q has no host", raw)
	}
	t.host, t.serverName = u.Host, u.Hostname()
	t.addr, err = net.ResolveTCPAddr("tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return t, nil, fmt.Errorf("%s: %w", raw, err)
	}
	if t.addr.IP == nil {
		t.addr.IP = net.IPv4(127, 0, 0, 1)
	}
	return t, u, nil
}

// appendChannel writes the channel that is number i of a subscriber. A template
// without {channel} is left alone.
func (t *target) appendChannel(b []byte, i int, name string) []byte {
	if t.native {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, "channel="...)
	}
	if t.native || t.templated {
		b = append(b, url.QueryEscape(name)...)
	}
	return b
}

func usesTLS(lists ...[]target) bool {
	return slices.ContainsFunc(slices.Concat(lists...), func(t target) bool { return t.tls })
}
