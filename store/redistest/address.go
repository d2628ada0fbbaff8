package redistest

import (
	"net/url"
	"strings"
)

// Addr returns the server's address, "127.0.0.1:port". It stays the same over
// Restart.
func (s *Server) Addr() string { return loopback(s.port) }

// Port returns the server's TCP port.
func (s *Server) Port() int { return s.port }

// Dir returns the server's directory: configuration, data, and output.
func (s *Server) Dir() string { return s.dir }

// String returns Addr, for messages.
func (s *Server) String() string { return s.Addr() }

// URL returns the server's URL for the default user, with the password if there
// is one: redis://… or, with TLS, rediss://… with the parameters ca, cert and
// key naming the client's files.
func (s *Server) URL() string { return s.URLAt(s.Addr()) }

// URLAt is URL with another address, such as that of a Proxy.
func (s *Server) URLAt(addr string) string {
	return s.cfg.url("redis", s.cfg.defaultUser(), []string{addr}, "/0", nil)
}

// URLAs is URL for another user.
func (s *Server) URLAs(user, password string) string {
	return s.cfg.url("redis", url.UserPassword(user, password), []string{s.Addr()}, "/0", nil)
}

// defaultUser returns the credentials of the default user, nil if it needs none.
func (c *config) defaultUser() *url.Userinfo {
	if c.password == "" {
		return nil
	}
	return url.UserPassword("", c.password)
}

// url puts a URL together; kind is its scheme without TLS. net/url has no word
// for a list of hosts with ports, so only the parts are left to it.
func (c *config) url(kind string, user *url.Userinfo, addrs []string, path string, query url.Values) string {
	if query == nil {
		query = url.Values{}
	}
	if c.tls != nil {
		kind = strings.Replace(kind, "redis", "rediss", 1)
		query.Set("ca", c.tls.CAFile)
		query.Set("cert", c.tls.ClientCertFile)
		query.Set("key", c.tls.ClientKeyFile)
	}
	var b strings.Builder
	b.WriteString(kind + "://")
	if user != nil {
		b.WriteString(user.String() + "@")
	}
	b.WriteString(strings.Join(addrs, ",") + path)
	if len(query) > 0 {
		b.WriteString("?" + query.Encode())
	}
	return b.String()
}

// addrs returns the addresses of servers.
func addrs(servers []*Server) []string {
	out := make([]string, len(servers))
	for i, s := range servers {
		out[i] = s.Addr()
	}
	return out
}
