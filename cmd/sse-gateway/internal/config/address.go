package config

import (
	"cmp"
	"net"
	"os"
)

// acceptedAddress is what both addresses may be.
const acceptedAddress = "host:port or :port"

// validateAddresses checks what is listened on. A port has to be named: without
// one the system would choose, and nobody would know where to look. Port 0 says
// that it shall.
func (c *Config) validateAddresses() (mistakes []error) {
	public, publicOK := portOf(c.Addr)
	if !publicOK {
		mistakes = append(mistakes, &valueError{"SSE_ADDR", c.Addr, acceptedAddress})
	}
	admin, adminOK := portOf(c.AdminAddr)
	if !adminOK {
		mistakes = append(mistakes, &valueError{"SSE_ADMIN_ADDR", c.AdminAddr, acceptedAddress})
	}
	if publicOK && public == admin && public != 0 && sameHost(c.Addr, c.AdminAddr) {
		mistakes = append(mistakes, &valueError{"SSE_ADMIN_ADDR", c.AdminAddr, "another port than that of SSE_ADDR=" + quote(c.Addr) + ": what is private has one of its own"})
	}
	return mistakes
}

// portOf returns the port of an address, whether it is a number or a name.
func portOf(addr string) (port int, ok bool) {
	_, text, err := net.SplitHostPort(addr)
	if err != nil || text == "" {
		return 0, false
	}
	port, err = net.LookupPort("tcp", text)
	return port, err == nil
}

// sameHost reports whether a port can be had at only one of two addresses:
// where one is all of the machine's addresses, the other is among them.
func sameHost(a, b string) bool {
	hostA, _, _ := net.SplitHostPort(a)
	hostB, _, _ := net.SplitHostPort(b)
	return hostA == hostB || isEveryHost(hostA) || isEveryHost(hostB)
}

// isEveryHost reports whether a host stands for all addresses of the machine:
// package net listens on those of IPv6 for 0.0.0.0, too.
func isEveryHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// AdminAddr returns where the admin listener of a gateway with this environment can be
// reached on this machine.
func AdminAddr() (string, error) {
	addr := cmp.Or(os.Getenv("SSE_ADMIN_ADDR"), ":9090")
	if _, ok := portOf(addr); !ok {
		return "", &valueError{"SSE_ADMIN_ADDR", addr, acceptedAddress}
	}
	return Reachable(addr), nil
}

// Reachable returns an address to connect to for one that is listened on.
func Reachable(addr string) string {
	if host, port, err := net.SplitHostPort(addr); err == nil && isEveryHost(host) {
		return net.JoinHostPort("localhost", port)
	}
	return addr
}
