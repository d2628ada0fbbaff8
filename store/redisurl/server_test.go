package redisurl_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

// TestEveryTopology has servers that speak only TLS and ask for a client
// certificate.
func TestEveryTopology(t *testing.T) {
	t.Parallel()
	user := redistest.WithUser("gateway on >old ~* +@all")
	server := redistest.Start(t, redistest.WithTLS(), redistest.WithPassword("p@ss:/#word"), user)
	group := redistest.StartSentinel(t, "m", server, 0, redistest.WithPassword("other"))
	cluster := redistest.StartCluster(t, 1, 0, redistest.WithTLS(), redistest.WithPassword("pass"), user)
	t.Run("TLS", func(t *testing.T) { reachOverTLS(t, server, group, cluster) })
	t.Run("rotation", func(t *testing.T) { rotatePassword(t, server, group, cluster) })
}

// reachOverTLS connects by URLs without a server_name: go-redis has to check
// each certificate against the host that it dials.
func reachOverTLS(t *testing.T, server *redistest.Server, group *redistest.Sentinel, cluster *redistest.Cluster) {
	localhost := strings.Replace(server.URL(), "127.0.0.1", "localhost", 1)

	for _, url := range []string{server.URL(), localhost, group.URL(), cluster.URL()} {
		o, err := redisurl.Universal(url)
		if err != nil {
			t.Errorf("%s: %v", redisurl.Redact(url), err)
			continue
		}
		c := redis.NewUniversalClient(o)
		if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
			t.Errorf("%s: %v", redisurl.Redact(url), err)
		}
		_ = c.Close()
	}

	a, err := redisurl.Parse(group.URL())
	if err != nil {
		t.Fatal(err)
	}
	sentinel := redis.NewSentinelClient(a.SentinelOptions(a.Addrs[0]))
	defer sentinel.Close()
	if err := sentinel.Master(t.Context(), a.Master).Err(); err != nil {
		t.Errorf("sentinel: %v", err)
	}
	master := redis.NewClient(a.Options(server.Addr()))
	defer master.Close()
	if err := master.Ping(t.Context()).Err(); err != nil {
		t.Errorf("master: %v", err)
	}
}

// rotatePassword changes the password of the user that clients log in as. A
// connection that a client opens after that has to have what is in the file then.
func rotatePassword(t *testing.T, server *redistest.Server, group *redistest.Sentinel, cluster *redistest.Cluster) {
	file := passwordFile(t, "old\n")
	var clients []redis.UniversalClient
	for _, url := range []string{server.URL(), group.URL(), cluster.URL()} {
		a, err := redisurl.Parse(withoutUser(url))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.SetCredentials("gateway", file); err != nil {
			t.Fatal(err)
		}
		o := a.Universal()
		o.PoolSize = 1
		c := redis.NewUniversalClient(o)
		defer c.Close()
		clients = append(clients, c)
	}
	requireUser := func() {
		t.Helper()
		for i, c := range clients {
			if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		}
	}
	requireUser()
	for _, s := range append(cluster.Nodes(), server) {
		s.Do("ACL", "SETUSER", "gateway", "resetpass", ">new")
	}
	write(t, file, "new\n")
	for _, s := range append(cluster.Nodes(), server) {
		if s.KillClients(func(c map[string]string) bool { return c["user"] == "gateway" }) == 0 {
			t.Errorf("%s: nobody was logged in as gateway", s)
		}
	}
	requireUser()
	a, err := redisurl.Parse(withoutUser(group.URL()))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.SetCredentials("gateway", file); err != nil {
		t.Fatal(err)
	}
	sentinel := redis.NewSentinelClient(a.SentinelOptions(a.Addrs[0]))
	defer sentinel.Close()
	if err := sentinel.Master(t.Context(), a.Master).Err(); err != nil {
		t.Errorf("the sentinel was sent the server's password: %v", err)
	}
}

// withoutUser returns a URL without its user information.
func withoutUser(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	return scheme + "://" + rest[strings.LastIndexByte(rest, '@')+1:]
}

// TestTLSChecksServerName refuses a certificate of another name.
func TestTLSChecksServerName(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithTLS())
	for name, accepted := range map[string]bool{"localhost": true, "elsewhere": false} {
		o, err := redisurl.Universal(server.URL() + "&server_name=" + name)
		if err != nil {
			t.Fatal(err)
		}
		o.MaxRetries, o.DialerRetries = -1, 1
		c := redis.NewUniversalClient(o)
		if err := c.Ping(t.Context()).Err(); accepted != (err == nil) {
			t.Errorf("server_name=%s: %v", name, err)
		}
		_ = c.Close()
	}
}

// TestSocket uses a Unix socket in both kinds of options.
func TestSocket(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithUnixSocket())
	a, err := redisurl.Parse("unix://" + server.Socket + "?db=2")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []redis.UniversalClient{redis.NewUniversalClient(a.Universal()), redis.NewClient(a.Options(a.Addrs[0]))} {
		if info, err := c.ClientInfo(t.Context()).Result(); err != nil || info.DB != 2 {
			t.Errorf("%v, %v", info, err)
		}
		_ = c.Close()
	}
}
