package redisurl

import (
	"slices"

	"github.com/redis/go-redis/v9"
)

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
