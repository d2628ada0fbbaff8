package redisurl_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

// TestTLSReachesEveryServer connects to servers that speak only TLS and ask for
// a client certificate. No URL has a server_name: go-redis has to check each
// certificate against the host that it dials.
func TestTLSReachesEveryServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithTLS(), redistest.WithPassword("p@ss:/#word"))
	group := redistest.StartSentinel(t, "m", server, 0, redistest.WithPassword("other"))
	cluster := redistest.StartCluster(t, 1, 0, redistest.WithTLS(), redistest.WithPassword("pass"))
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
