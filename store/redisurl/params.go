package redisurl

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
)

// params are the names of the parameters.
var params = []string{"db", "master", "sentinel_user", "sentinel_password", "ca", "cert", "key", "server_name"}

func (a *Address) setParams(query string, secure bool) error {
	q, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("its parameters cannot be read")
	}
	if name, found := unknownParam(query); found {
		return fmt.Errorf("it has a parameter%s that is none of %s", name, strings.Join(params, ", "))
	}
	if s := q.Get("db"); s != "" && a.setDB(s) != nil {
		return errors.New("its parameter db is not a number")
	}
	a.Master = q.Get("master")
	a.sentinelUsername, a.sentinelPassword = q.Get("sentinel_user"), q.Get("sentinel_password")
	switch {
	case a.Topology == Sentinel && a.Master == "":
		return errors.New("it has no parameter master=NAME")
	case a.Topology != Sentinel && (q.Has("master") || q.Has("sentinel_user") || q.Has("sentinel_password")):
		return errors.New("master and sentinel_… are for redis+sentinel://")
	case a.Topology == Cluster && a.DB != 0:
		return errors.New("a cluster has only database 0")
	case secure:
		a.TLS, err = tlsConfig(q.Get("ca"), q.Get("cert"), q.Get("key"), q.Get("server_name"))
		return err
	case q.Has("ca") || q.Has("cert") || q.Has("key") || q.Has("server_name"):
		return errors.New("ca, cert, key and server_name are for rediss://")
	}
	return nil
}

// isName matches what an error may show as the name of a parameter.
var isName = regexp.MustCompile(`^[A-Za-z_-]{1,32}$`).MatchString

// unknownParam finds the first parameter that is not known, written without escapes.
// It returns the name with a blank before it, or "" if the name may be part of a
// secret: after an & that was not escaped, the rest of a sentinel's user or password
// looks like a name, and a parameter without = may be anything.
func unknownParam(query string) (name string, found bool) {
	for pair := range strings.SplitSeq(query, "&") {
		name, _, assigned := strings.Cut(pair, "=")
		switch {
		case pair == "" || slices.Contains(params, name):
		case !assigned || !isName(name) || strings.Contains(query, "sentinel_"):
			return "", true
		default:
			return " " + name, true
		}
	}
	return "", false
}

// tlsConfig reads PEM files. Empty names mean the system's authorities, no
// client certificate, and the name of the host that is dialled.
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
	// Every handshake reads the files again, so that a renewed certificate is used.
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		return &pair, err
	}
	return c, nil
}
