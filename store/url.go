package store

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// topology is how the Redis behind a URL is laid out.
type topology uint8

const (
	single topology = iota
	sentinel
	cluster
)

// endpoint is what a Redis URL says.
type endpoint struct {
	topology topology
	network  string   // tcp or unix
	addrs    []string // the server, the sentinels, or some of the cluster's nodes
	username string
	password string
	db       int
	tls      *tls.Config // nil: plain
	replicas bool        // read from replicas; not of the URL

	// Sentinel only.
	master           string
	sentinelUsername string
	sentinelPassword string
}

const urlForms = "redis://[user:password@]host:port[/db], rediss://… (TLS), unix:///path/to/socket[?db=N], " +
	"redis+sentinel://host:port,host:port[/db]?master=NAME or redis+cluster://host:port,host:port (each also as rediss+…)"

// ValidateURL reports whether url is one that Open accepts: the error says what
// is wrong with it, names no password, and lists the accepted forms.
func ValidateURL(url string) error {
	_, err := parseURL(url)
	return err
}

var errOneServer = errors.New("the URL names one server, whose replicas are not known: accepted is redis+sentinel:// or redis+cluster://, " +
	"or the address of the replica itself as the server")

// HasReplicas reports whether a URL that ValidateURL accepts is one by which
// replicas can be found: of sentinels or a cluster.
func HasReplicas(url string) bool {
	e, err := parseURL(url)
	return err == nil && e.topology != single
}

// params are the query parameters of a Redis URL.
var params = []string{"db", "master", "sentinel_user", "sentinel_password", "ca", "cert", "key", "server_name"}

func parseURL(raw string) (*endpoint, error) {
	// net/url's own errors quote the URL, which may hold a password. Those made
	// here quote no part of it that a forgotten escape or @ may have made of one.
	fail := func(format string, args ...any) (*endpoint, error) {
		return nil, fmt.Errorf("%s; accepted: %s", fmt.Sprintf(format, args...), urlForms)
	}
	// net/url refuses a list of hosts whose last part is not a port.
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || !isScheme(scheme) {
		return fail("it has no scheme")
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 && scheme != "unix" {
		authority, tail = rest[:i], rest[i:]
	}
	e := &endpoint{network: "tcp"}
	secure := strings.HasPrefix(scheme, "rediss")
	switch scheme {
	case "redis", "rediss":
	case "unix":
		e.network = "unix"
	case "redis+sentinel", "rediss+sentinel":
		e.topology = sentinel
	case "redis+cluster", "rediss+cluster":
		e.topology = cluster
	default:
		return fail("its scheme is %q", scheme)
	}
	if e.network == "unix" {
		if i := strings.LastIndexByte(rest, '@'); i >= 0 {
			authority, tail = rest[:i+1], rest[i+1:]
		} else {
			authority, tail = "", rest
		}
	}
	if strings.ContainsAny(tail, "@#") {
		return fail("it has an @ or # after the host: write %%40 or %%23; and in a password %%2F for a /, %%3F for a ?")
	}
	hosts := authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		hosts = authority[i+1:]
		user, pass, hasPass := strings.Cut(authority[:i], ":")
		if !hasPass { // redis://secret@host is a common slip for redis://:secret@host
			return fail("its user information has no colon (write :password@ for a password without a user)")
		}
		var err1, err2 error
		e.username, err1 = url.PathUnescape(user)
		e.password, err2 = url.PathUnescape(pass)
		if err1 != nil || err2 != nil {
			return fail("its user information has a wrong percent-escape")
		}
	}
	u, err := url.Parse(tail)
	if err != nil {
		return fail("its path or parameters cannot be read")
	}
	if err := e.setHosts(hosts, u.Path); err != nil {
		return fail("%s", err)
	}
	if err := e.setParams(u, secure); err != nil {
		return fail("%s", err)
	}
	return e, nil
}

func (e *endpoint) setHosts(hosts, path string) error {
	if e.network == "unix" {
		if !strings.HasPrefix(path, "/") {
			return errors.New("the path of the socket does not begin with a slash")
		}
		e.addrs = []string{path}
		return nil
	}
	port := "6379"
	if e.topology == sentinel {
		port = "26379"
	}
	for h := range strings.SplitSeq(hosts, ",") {
		addr, ok := hostPort(h, port)
		if !ok {
			return fmt.Errorf("number %d of its hosts is not host:port", len(e.addrs)+1)
		}
		e.addrs = append(e.addrs, addr)
	}
	if e.topology == single && len(e.addrs) > 1 {
		return errors.New("it names several hosts, which is for redis+sentinel:// and redis+cluster://")
	}
	if path = strings.Trim(path, "/"); path != "" {
		db, err := strconv.ParseUint(path, 10, 31)
		if err != nil {
			return errors.New("its path is not the number of a database")
		}
		e.db = int(db)
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

func (e *endpoint) setParams(u *url.URL, secure bool) error {
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("its parameters cannot be read")
	}
	if name, ok := unknownParam(u.RawQuery); ok {
		return fmt.Errorf("it has a parameter%s that is none of %s", name, strings.Join(params, ", "))
	}
	if s := q.Get("db"); s != "" {
		db, err := strconv.ParseUint(s, 10, 31)
		if err != nil {
			return errors.New("its parameter db is not a number")
		}
		e.db = int(db)
	}
	e.master = q.Get("master")
	e.sentinelUsername, e.sentinelPassword = q.Get("sentinel_user"), q.Get("sentinel_password")
	switch {
	case e.topology == sentinel && e.master == "":
		return errors.New("it has no parameter master=NAME")
	case e.topology != sentinel && (q.Has("master") || q.Has("sentinel_user") || q.Has("sentinel_password")):
		return errors.New("master and sentinel_… are for redis+sentinel://")
	case e.topology == cluster && e.db != 0:
		return errors.New("a cluster has only database 0")
	}
	if !secure {
		if q.Has("ca") || q.Has("cert") || q.Has("key") || q.Has("server_name") {
			return errors.New("ca, cert, key and server_name are for rediss://")
		}
		return nil
	}
	e.tls, err = tlsConfig(q.Get("ca"), q.Get("cert"), q.Get("key"), q.Get("server_name"))
	return err
}

// maxParamName is how long the name of a parameter may be to be shown, in bytes.
const maxParamName = 32

// unknownParam finds the first parameter that is not known, and returns its name
// with a blank before it, or "" if that may be part of a secret: after an & that
// was not escaped the rest of a user or password is taken for a name, and without
// a = it may be anything.
func unknownParam(query string) (name string, ok bool) {
	secret := false
	for pair := range strings.SplitSeq(query, "&") {
		raw, _, assigned := strings.Cut(pair, "=")
		switch name, err := url.QueryUnescape(raw); {
		case pair == "":
		case err != nil || !slices.Contains(params, name):
			if secret || !assigned || raw == "" || len(raw) > maxParamName || strings.ContainsFunc(raw, notInName) {
				return "", true
			}
			return " " + raw, true
		default:
			secret = secret || name == "sentinel_user" || name == "sentinel_password"
		}
	}
	return "", false
}

// notInName reports whether a character is one that names of parameters do not
// have.
func notInName(r rune) bool { return (r|0x20 < 'a' || r|0x20 > 'z') && r != '_' && r != '-' }

// tlsConfig reads the files that a rediss:// URL names; empty names are
// defaults: the system's authorities, no client certificate, the host's name.
func tlsConfig(ca, cert, key, serverName string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s holds no PEM certificate", ca)
		}
	}
	if (cert == "") != (key == "") {
		return nil, errors.New("cert and key go together")
	}
	if cert == "" {
		return c, nil
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		return nil, fmt.Errorf("cert and key: %w", err)
	}
	// Read again for every connection, so that a renewed certificate is used.
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		return &pair, nil
	}
	return c, nil
}
