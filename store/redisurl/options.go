package redisurl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/redis/go-redis/v9"
)

// SetCredentials sets the user name and the file with the password of the
// servers, where the URL has none; "" leaves what the URL has. The file has to be
// readable already. The sentinels' user and password are not affected.
// SetCredentials must be called before the Address is used.
func (a *Address) SetCredentials(username, passwordFile string) error {
	switch {
	case username != "" && a.username != "":
		return errors.New("the user name is in the URL as well: leave one out")
	case passwordFile != "" && a.password != "":
		return errors.New("the password is in the URL as well: leave one out")
	case username != "" && passwordFile == "" && a.password == "":
		return errors.New("the user name needs a password: without one, clients of Redis send neither")
	}
	if username != "" {
		a.username = username
	}
	a.passwordFile = passwordFile
	_, _, err := a.Credentials(context.Background())
	return err
}

// Credentials returns the user name and the password for a new connection to a
// server; both may be "". It reads the password file each time, so that a
// connection after a rotation has the new password. One newline (LF or CRLF) at the
// end of the file is no part of the password. Errors name the file and show nothing of it.
func (a *Address) Credentials(context.Context) (username, password string, err error) {
	if a.passwordFile == "" {
		return a.username, a.password, nil
	}
	b, err := os.ReadFile(a.passwordFile)
	if err != nil {
		return "", "", fmt.Errorf("the password file: %w", err)
	}
	if line, found := bytes.CutSuffix(b, []byte("\n")); found {
		b = bytes.TrimSuffix(line, []byte("\r"))
	}
	if len(b) == 0 {
		return "", "", fmt.Errorf("the password file %s is empty", a.passwordFile)
	}
	return a.username, string(b), nil
}

// Universal returns options for a client of the whole topology, as
// redis.NewUniversalClient takes them. Times, pools and retries are go-redis's
// defaults. The TLS configuration has no server name unless the URL has one:
// go-redis dials with tls.DialWithDialer, which fills in the host it dials.
// Each new connection to a server asks Credentials.
func (a *Address) Universal() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs: slices.Clone(a.Addrs), DB: a.DB, TLSConfig: a.TLS,
		CredentialsProviderContext: a.Credentials,
		IsClusterMode:              a.Topology == Cluster,
		MasterName:                 a.Master, SentinelUsername: a.sentinelUsername, SentinelPassword: a.sentinelPassword,
	}
}

// Options returns options for a client of the one server at addr: the address
// itself, the master that the sentinels name, or a node of the cluster.
func (a *Address) Options(addr string) *redis.Options {
	o := a.Universal().Simple()
	o.Network, o.Addr = a.Network, addr
	return o
}

// SentinelOptions returns options for a client of the sentinel at addr.
func (a *Address) SentinelOptions(addr string) *redis.Options {
	o := a.Options(addr)
	o.CredentialsProviderContext, o.DB = nil, 0
	o.Username, o.Password = a.sentinelUsername, a.sentinelPassword
	return o
}

// Universal returns the options of the URL's address.
func Universal(raw string) (*redis.UniversalOptions, error) {
	a, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	return a.Universal(), nil
}
