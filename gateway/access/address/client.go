package address

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/sse-gateway/sse-gateway/gateway/access/fault"
)

// OfClient returns the address of the client: that of the peer, unless the peer
// is a trusted proxy. Then X-Forwarded-For is read from the right, the end that
// the nearest proxy wrote, for as long as the addresses are trusted proxies;
// the first that is not is the client. What is not an address ends the walk at
// the last proxy that was good, because whatever stands further left may have
// been made up by the client.
//
// The address is unmapped (never ::ffff:a.b.c.d) and without zone. It is the
// zero Addr if the peer has no IP address.
func OfClient(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr, ok := parseHop(r.RemoteAddr)
	if !ok || !contains(trusted, addr) {
		return addr
	}
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var item string
			rest, item, more = cutLast(rest)
			hop, ok := parseHop(item)
			if !ok {
				return addr
			}
			addr = hop
			if !contains(trusted, addr) {
				return addr
			}
		}
	}
	return addr
}

// Scheme returns how the client connected, http or https: as the request came, unless
// the peer is a trusted proxy that says otherwise in X-Forwarded-Proto. Of several
// values the last counts, which the nearest proxy wrote.
func Scheme(r *http.Request, trusted []netip.Prefix) string {
	if addr, ok := parseHop(r.RemoteAddr); ok && contains(trusted, addr) {
		if v := strings.ToLower(lastValue(r.Header["X-Forwarded-Proto"])); v == "http" || v == "https" {
			return v
		}
	}
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// lastValue returns the last element of a list header, "" if there is none.
func lastValue(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	_, last, _ := cutLast(lines[len(lines)-1])
	return strings.TrimSpace(last)
}

// cutLast splits a list at its last comma; more tells whether there was one.
func cutLast(list string) (rest, last string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return "", list, false
	}
	return list[:i], list[i+1:], true
}

// parseHop parses a.b.c.d, a.b.c.d:port, x::y, [x::y] and [x::y]:port.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	var addr netip.Addr
	var err error
	inner, bracket := strings.CutPrefix(s, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	switch {
	case bracket && closed:
		addr, err = netip.ParseAddr(inner)
		if addr.Is4() {
			return netip.Addr{}, false
		}
	case bracket, strings.Count(s, ":") == 1:
		var ap netip.AddrPort
		ap, err = netip.ParseAddrPort(s)
		addr = ap.Addr()
	default:
		addr, err = netip.ParseAddr(s)
	}
	return addr.WithZone("").Unmap(), err == nil
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// ParsePrefixes parses SSE_TRUSTED_PROXIES: addresses and CIDR prefixes of
// proxies. The error names the variable, the value and what is accepted.
func ParsePrefixes(list []string) ([]netip.Prefix, error) {
	var ps []netip.Prefix
	for _, s := range list {
		p, ok := parsePrefix(strings.TrimSpace(s))
		if !ok {
			return nil, fault.Invalid("SSE_TRUSTED_PROXIES", fault.Clip(s), "an address or a CIDR prefix such as 10.0.0.0/8 or fd00::/8")
		}
		ps = append(ps, p)
	}
	return ps, nil
}

// parsePrefix turns an IPv4-mapped prefix into the IPv4 one, because the
// addresses that it is compared with are unmapped.
func parsePrefix(s string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}
