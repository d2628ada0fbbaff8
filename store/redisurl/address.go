package redisurl

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Topology is how the servers behind an address are organised.
type Topology uint8

// The topologies.
const (
	Single   Topology = iota // one server, whose replicas are unknown
	Sentinel                 // a master and its replicas, which sentinels name
	Cluster                  // Redis Cluster
)

// Address is what a URL says. Its fields are read-only, its methods may be
// called concurrently.
type Address struct {
	Topology Topology
	Network  string   // tcp or unix
	Addrs    []string // the server, the sentinels, or some nodes of the cluster
	DB       int
	Master   string      // the master's name at the sentinels; only with Sentinel
	TLS      *tls.Config // nil without TLS

	username, password                 string // of the servers
	passwordFile                       string // see SetCredentials
	sentinelUsername, sentinelPassword string
}

// schemes are those without TLS.
var schemes = map[string]Topology{"redis": Single, "unix": Single, "redis+sentinel": Sentinel, "redis+cluster": Cluster}

// forms is the end of every error of Parse.
const forms = "redis://[user:password@]host:port[/db], rediss://… (TLS), unix:///path/to/socket[?db=N], " +
	"redis+sentinel://host:port,host:port[/db]?master=NAME or redis+cluster://host:port,host:port (each also as rediss+…)"

// Parse reads a URL and the certificates that it names. An error says what is
// wrong, lists the accepted forms, and shows no password.
func Parse(raw string) (*Address, error) {
	a, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w; accepted: %s", err, forms)
	}
	return a, nil
}

// parse makes its own errors, because those of net/url quote the URL.
func parse(raw string) (*Address, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || !isScheme(scheme) {
		return nil, errors.New("it has no scheme")
	}
	a := &Address{Network: "tcp"}
	plain := strings.Replace(scheme, "rediss", "redis", 1)
	if a.Topology, ok = schemes[plain]; !ok {
		return nil, fmt.Errorf("its scheme is %q", scheme)
	}
	// net/url does not split this: it refuses a list of hosts with ports.
	i := strings.IndexAny(rest+"/", "/?")
	if plain == "unix" {
		a.Network, i = "unix", strings.LastIndexByte(rest, '@')+1
	}
	hosts, tail := rest[:i], rest[i:]
	if strings.ContainsAny(tail, "@#") {
		return nil, errors.New("it has an @ or # after the host: write %40 or %23; and in a password %2F for a /, %3F for a ?")
	}
	if i := strings.LastIndexByte(hosts, '@'); i >= 0 {
		if err := a.setUser(hosts[:i]); err != nil {
			return nil, err
		}
		hosts = hosts[i+1:]
	}
	u, err := url.Parse(tail)
	if err != nil {
		return nil, errors.New("its path or parameters cannot be read")
	}
	if err := a.setHosts(hosts, u.Path); err != nil {
		return nil, err
	}
	return a, a.setParams(u.RawQuery, plain != scheme)
}

// isScheme matches what can be the scheme of a URL, rather than, for example, the
// password of a URL that has no scheme.
var isScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z+]*$`).MatchString

func (a *Address) setUser(info string) error {
	user, password, ok := strings.Cut(info, ":")
	if !ok { // redis://secret@host is a common slip for redis://:secret@host
		return errors.New("its user information has no colon (write :password@ for a password without a user)")
	}
	var err1, err2 error
	a.username, err1 = url.PathUnescape(user)
	a.password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return errors.New("its user information has a wrong percent-escape")
	}
	return nil
}

func (a *Address) setHosts(hosts, path string) error {
	if a.Network == "unix" {
		if !strings.HasPrefix(path, "/") {
			return errors.New("the path of the socket does not begin with a slash")
		}
		a.Addrs = []string{path}
		return nil
	}
	port := "6379"
	if a.Topology == Sentinel {
		port = "26379"
	}
	for h := range strings.SplitSeq(hosts, ",") {
		addr, ok := hostPort(h, port)
		if !ok {
			return fmt.Errorf("number %d of its hosts is not host:port", len(a.Addrs)+1)
		}
		a.Addrs = append(a.Addrs, addr)
	}
	if a.Topology == Single && len(a.Addrs) > 1 {
		return errors.New("it names several hosts, which is for redis+sentinel:// and redis+cluster://")
	}
	if path = strings.Trim(path, "/"); path != "" && a.setDB(path) != nil {
		return errors.New("its path is not the number of a database")
	}
	return nil
}

// hostPort reads a host, with or without a port.
func hostPort(s, defaultPort string) (addr string, ok bool) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), defaultPort
	}
	if strings.Contains(host, ":") {
		if _, err := netip.ParseAddr(host); err != nil {
			return "", false
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	valid := err == nil && n > 0 && host != "" && !strings.ContainsFunc(host, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune("[]/@#?%\\", r)
	})
	return net.JoinHostPort(host, port), valid
}

func (a *Address) setDB(s string) error {
	db, err := strconv.ParseUint(s, 10, 31)
	a.DB = int(db)
	return err
}
