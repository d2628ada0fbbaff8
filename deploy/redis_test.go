package deploy_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// startRedis starts Redis with the configuration that is shipped, except for
// its port and directory, and returns its address.
func startRedis(t *testing.T) string {
	t.Helper()
	server := redistest.Command(t, "redis-server", "redis-server")
	addr := redistest.FreeAddr(t)
	users, err := filepath.Abs("redis/users.acl")
	if err != nil {
		t.Fatal(err)
	}
	start(t, nil, server, "redis/redis.conf", "--bind", "127.0.0.1", "--port", port(t, addr), "--dir", t.TempDir(), "--aclfile", users)
	waitListening(t, addr)
	return addr
}

// demoUser returns the name and password that docker-compose.yml uses.
func demoUser(t *testing.T, user string) (name, password string) {
	t.Helper()
	file := read(t, composePath)
	pattern := map[string]string{
		"gateway":   `redis://(gateway):([^@]+)@redis:6379`,
		"publisher": `--user (publisher) \S*\s*#?\s*--pass (\S+)`,
		"revoker":   `--user (revoker) \S*\s*#?\s*--pass (\S+)`,
		"probe":     `"--user", "(probe)", "--pass", "(\w+)"`,
	}[user]
	m := regexp.MustCompile(pattern).FindStringSubmatch(file)
	if m == nil {
		t.Fatalf("%s does not say how user %s signs in", composePath, user)
	}
	return m[1], m[2]
}

// client signs in with the demo password of a user.
func client(t *testing.T, addr, user string) *redis.Client {
	t.Helper()
	name, password := demoUser(t, user)
	c := redis.NewClient(&redis.Options{
		Addr: addr, Username: name, Password: password,
		Protocol: 2, DisableIdentity: true, PoolSize: 1, MaxRetries: -1,
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedisUsers(t *testing.T) {
	t.Parallel()
	addr := startRedis(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	// An entry to read. It also shows that the publisher may write.
	publisher := client(t, addr, "publisher")
	if err := publisher.Do(ctx, "XADD", "sse:orders", "MAXLEN", "~", "10", "*", "data", "hello").Err(); err != nil {
		t.Fatalf("the publisher may not XADD: %v", err)
	}

	for user, does := range map[string]struct{ may, mayNot []string }{
		"gateway": {
			may: []string{
				"PING", "ROLE", "CLIENT TRACKING ON", "CLIENT TRACKING OFF",
				"XINFO STREAM sse:orders", "XRANGE sse:orders - + COUNT 1",
				"XREVRANGE sse:orders + - COUNT 1", "MULTI", "EXEC",
			},
			mayNot: []string{
				"XADD sse:orders * data x", "XDEL sse:orders 1-1", "XTRIM sse:orders MAXLEN 0", "XSETID sse:orders 9-9",
				"XGROUP CREATE sse:orders g 0", "DEL sse:orders", "UNLINK sse:orders", "EXPIRE sse:orders 1",
				"RENAME sse:orders sse:x", "COPY sse:orders sse:x", "SET sse:x 1", "GET sse:x", "FLUSHALL", "FLUSHDB",
				"CONFIG GET *", "CONFIG SET maxmemory 1", "KEYS *", "SCAN 0", "EVAL return(1) 0", "CLIENT LIST",
				"CLIENT KILL ID 1", "ACL LIST", "SHUTDOWN", "REPLICAOF NO ONE", "SUBSCRIBE news",
				"PSUBSCRIBE *", "PUBLISH __redis__:invalidate x", "XRANGE other - +", "CLIENT ID", "SUBSCRIBE __redis__:invalidate", "TYPE other", "XREAD STREAMS sse:orders other 0 0",
			},
		},
		"publisher": {
			may:    []string{"PING", "XADD sse:orders * data x", "XADD sse:orders MINID ~ 5 * data x"},
			mayNot: []string{"XADD other * data x", "XRANGE sse:orders - +", "DEL sse:orders", "XTRIM sse:orders MAXLEN 0", "FLUSHALL", "CONFIG GET *", "SUBSCRIBE __redis__:invalidate"},
		},
		"revoker": {
			may:    []string{"PING", "XADD sse:gateway.revocations MINID ~ 5 * sub user-17"},
			mayNot: []string{"XADD sse:orders * data x", "XRANGE sse:gateway.revocations - +", "DEL sse:gateway.revocations", "FLUSHALL"},
		},
		"probe": {
			may:    []string{"PING"},
			mayNot: []string{"XRANGE sse:orders - +", "XADD sse:orders * data x", "CLIENT LIST", "INFO", "CONFIG GET *"},
		},
	} {
		c := client(t, addr, user)
		for _, command := range does.may {
			if err := c.Do(ctx, args(command)...).Err(); err != nil && err != redis.Nil {
				t.Errorf("%s may not %s: %v", user, command, err)
			}
		}
		for _, command := range does.mayNot {
			if err := c.Do(ctx, args(command)...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
				t.Errorf("%s may %s: %v", user, command, err)
			}
		}
	}
}

func args(command string) []any {
	var a []any
	for _, w := range strings.Fields(command) {
		a = append(a, w)
	}
	return a
}

func TestRedisLetsNobodyInWithoutAName(t *testing.T) {
	t.Parallel()
	c := redis.NewClient(&redis.Options{Addr: startRedis(t), Protocol: 2, DisableIdentity: true, MaxRetries: -1})
	defer c.Close()
	if err := c.Ping(t.Context()).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOAUTH") {
		t.Errorf("PING without a name: %v, want NOAUTH", err)
	}
}

// The tail's way of hearing of a write, with no more rights than the gateway
// has: a push on the connection that has read the key.
func TestRedisGatewayHearsOfWrites(t *testing.T) {
	t.Parallel()
	addr := startRedis(t)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	name, password := demoUser(t, "gateway")
	in := bufio.NewScanner(conn)
	await := func(want string) {
		t.Helper()
		for in.Scan() {
			if in.Text() == want {
				return
			}
			if strings.HasPrefix(in.Text(), "-") {
				break
			}
		}
		t.Fatalf("waited for %q: %q, %v", want, in.Text(), in.Err())
	}
	fmt.Fprintf(conn, "HELLO 3 AUTH %s %s\r\nCLIENT TRACKING ON\r\n", name, password)
	await("+OK")
	fmt.Fprint(conn, "XRANGE sse:orders - + COUNT 1\r\n")
	await("*0")
	if err := client(t, addr, "publisher").Do(t.Context(), "XADD", "sse:orders", "*", "data", "hello").Err(); err != nil {
		t.Fatal(err)
	}
	await("sse:orders")
}

// What the durability of the events rests on.
func TestRedisKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	conf := read(t, "redis/redis.conf")
	for _, want := range []string{"appendonly yes", "maxmemory-policy noeviction", "maxmemory 512mb", "protected-mode yes"} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(conf) {
			t.Errorf("redis.conf lacks: %s", want)
		}
	}
}

// The users file holds hashes only, and those of the passwords in use.
func TestRedisUsersFile(t *testing.T) {
	acl := read(t, "redis/users.acl")
	if regexp.MustCompile(`\s>`).MatchString(acl) {
		t.Error("users.acl holds a password in clear")
	}
	for _, user := range []string{"gateway", "publisher", "revoker"} {
		_, password := demoUser(t, user)
		sum := sha256.Sum256([]byte(password))
		if !strings.Contains(acl, "user "+user+" on #"+hex.EncodeToString(sum[:])+" ") {
			t.Errorf("the password of %s in docker-compose.yml is not the one in users.acl", user)
		}
	}
}
