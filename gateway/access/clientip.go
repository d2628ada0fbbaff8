package access

import (
	"net/http"
	"net/netip"
	"strings"
)

// ClientIP returns the address of the client: that of the peer, unless the peer
// is a trusted proxy. Then X-Forwarded-For is read from the right, the end that
// the nearest proxy wrote, for as long as the addresses are trusted proxies;
// the first that is not is the client. What is not an address ends the walk at
// the last proxy that was good, because whatever stands further left may have
// been made up by the client.
//
// The address is unmapped (never ::ffff:a.b.c.d) and without zone. It is the
// zero Addr if the peer has no IP address.
func ClientIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
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
