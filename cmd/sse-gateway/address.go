package main

import "net"

// acceptedAddress is what both addresses may be.
const acceptedAddress = "host:port or :port"

// validateAddresses checks what is listened on. A port has to be named: without
// one the system would choose, and nobody would know where to look. Port 0 says
// that it shall.
func (c *config) validateAddresses() error {
	public, ok := portOf(c.Addr)
	if !ok {
		return &valueError{"SSE_ADDR", c.Addr, acceptedAddress}
	}
	if _, ok := portOf(c.AdminAddr); !ok {
		return &valueError{"SSE_ADMIN_ADDR", c.AdminAddr, acceptedAddress}
	}
	if c.Addr == c.AdminAddr && public != 0 {
		return &valueError{"SSE_ADMIN_ADDR", c.AdminAddr, "another address than that of SSE_ADDR: what is private has a port of its own"}
	}
	return nil
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
