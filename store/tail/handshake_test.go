package tail

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
	"github.com/sse-gateway/sse-gateway/store/resp"
)

// The replies of servers, as bytes of RESP.
const okReply = "+OK\r\n"

func refusal(text string) string { return "-" + text + "\r\n" }

// hello3 is the reply to HELLO 3 in RESP3.
func hello3(server, version string) string { return helloReply("%7", server, version, "3") }

// helloReply is the reply to HELLO, which is a map in RESP3 and an array in
// RESP2.
func helloReply(header, server, version, proto string) string {
	return header + "\r\n$6\r\nserver\r\n+" + server + "\r\n$7\r\nversion\r\n+" + version + "\r\n$5\r\nproto\r\n:" + proto +
		"\r\n$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"
}

// Where the expected outcome of a handshake is an error, its class.
var (
	denied   = resp.IsDenied
	loading  = resp.IsLoading
	protocol = func(err error) bool { return errors.Is(err, resp.ErrProtocol) }
	closed   = func(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
	// refused is about the configuration, not about who asks or when.
	refused = func(err error) bool { return resp.IsReply(err) && !denied(err) && !loading(err) }
)

// handshakeCase is what a product answers. A command without a reply closes the
// connection.
type handshakeCase struct {
	product  string
	replies  map[string]string // by command
	user     string
	password string
	db       int
	readOnly bool
	hangsUp  bool // the connection ends with the reply to HELLO

	polled string           // a part of why it is polled; empty: it announces changes
	fails  func(error) bool // the class of the error; nil: there is none
	words  string           // a part of the error
	inside bool             // it may trim inside a stream
}

// tracks are the replies of a server that announces changes.
func tracks(server, version string) map[string]string {
	return map[string]string{"AUTH": okReply, "HELLO": hello3(server, version), "SELECT": okReply, "READONLY": okReply, "CLIENT": okReply}
}

// but is tracks, with another reply to one command.
func but(replies map[string]string, command, reply string) map[string]string {
	replies[command] = reply
	return replies
}

const noAuthHello = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> " +
	"option can be used to authenticate the client and select the RESP protocol version at the same time"

// The texts are those of the products' sources, documentation and bug reports.
var handshakeCases = []handshakeCase{
	{product: "Redis 6.2", replies: tracks("redis", "6.2.14")},
	{product: "Redis 7.0, with a user", replies: tracks("redis", "7.0.15"), user: "u", password: "p", db: 3},
	{product: "Redis 7.0, replica of a cluster", replies: tracks("redis", "7.0.15"), readOnly: true},
	{product: "Redis 7.4", replies: tracks("redis", "7.4.2"), password: "p"},
	{product: "Redis 8.0", replies: tracks("redis", "8.0.3")},
	{product: "Redis 8.2, which trims inside", replies: tracks("redis", "8.2.1"), inside: true},
	{product: "Redis 10, if it keeps that", replies: tracks("redis", "10.0.0"), inside: true},
	{product: "Valkey 8", replies: tracks("valkey", "8.1.0")},
	{product: "Valkey 9", replies: tracks("valkey", "9.0.0")},
	{product: "KeyDB 6.3", replies: tracks("redis", "6.3.4")},
	{product: "Dragonfly", replies: tracks("redis", "7.4.0")},
	{product: "Redis Cloud 7.4", replies: tracks("redis", "7.4.3"), user: "default", password: "p"},
	{product: "Azure Managed Redis 7.4", replies: tracks("redis", "7.4.3"), password: "token"},
	{product: "Redis 7.0, HELLO as an array of pairs", replies: but(tracks("", ""), "HELLO", helloReply("*14", "redis", "7.0.15", "3"))},

	// What cannot announce changes is polled.
	{
		product: "Redis 5",
		replies: map[string]string{"AUTH": okReply, "HELLO": refusal("ERR unknown command `HELLO`, with args beginning with: `3`, "), "SELECT": okReply},
		polled:  "unknown command `HELLO`", password: "p", db: 1,
	},
	{
		product: "Redis 7, CLIENT renamed",
		replies: but(tracks("redis", "7.0.15"), "CLIENT", refusal("ERR unknown command 'CLIENT', with args beginning with: 'TRACKING' 'ON' ")),
		polled:  "unknown command 'CLIENT'",
	},
	{
		product: "Redis 6.0 without CLIENT TRACKING",
		replies: but(tracks("redis", "6.0.0"), "CLIENT", refusal("ERR Unknown subcommand or wrong number of arguments for 'TRACKING'. Try CLIENT HELP.")),
		polled:  "Unknown subcommand",
	},
	{
		product: "a server in RESP2 only",
		replies: but(tracks("", ""), "HELLO", refusal("NOPROTO unsupported protocol version")),
		polled:  "NOPROTO",
	},
	{
		product: "Dragonfly in RESP2",
		replies: but(tracks("redis", "6.2.11"), "CLIENT", refusal("ERR Client tracking is currently not supported for RESP2. Please use RESP3.")),
		polled:  "Please use RESP3",
	},
	{
		product: "Dragonfly 0.1", // see dragonflydb/dragonfly#126
		replies: but(tracks("", ""), "HELLO", refusal(`ERR unknown command "HELLO", with args beginning with: 3`)),
		polled:  "unknown command",
	},
	{
		product: "Redis Cloud before 7.4", // see bezzad/HybridRedisCache#16
		replies: but(tracks("redis", "7.2.4"), "CLIENT", refusal("ERR command 'client|tracking' is not allowed")),
		polled:  "'client|tracking' is not allowed", password: "p",
	},
	{
		product: "Redis Software 6, Heroku", // see sidekiq/sidekiq#5594
		replies: but(tracks("", ""), "HELLO", refusal("ERR unknown command 'HELLO'")),
		polled:  "unknown command 'HELLO'", password: "p",
	},
	{
		product: "Azure Cache for Redis 6.0, which stays with RESP2", // see vert-x3/vertx-redis-client#297
		replies: but(tracks("", ""), "HELLO", helloReply("*14", "redis", "6.0.3", "2")),
		polled:  "protocol 2",
	},
	{
		product: "Envoy's redis_proxy, newer",
		replies: map[string]string{"AUTH": okReply, "HELLO": refusal("ERR unknown command 'HELLO', with args beginning with: 3")},
		polled:  "unknown command 'HELLO'", password: "p",
	},
	{
		product: "Envoy's redis_proxy, older",
		replies: map[string]string{"HELLO": refusal("unsupported command 'HELLO'")},
		polled:  "unsupported command 'HELLO'",
	},
	{
		product: "Envoy's redis_proxy with HELLO",
		replies: map[string]string{"HELLO": hello3("redis", "1.37.0"), "CLIENT": refusal("ERR unknown command 'CLIENT', with args beginning with: TRACKING")},
		polled:  "unknown command 'CLIENT'",
	},
	{
		product: "redis-cluster-proxy", // see RedisLabs/redis-cluster-proxy#102
		replies: map[string]string{"HELLO": refusal("ERR unsupported command `hello`")},
		polled:  "unsupported command `hello`",
	},
	{product: "a server that says OK to everything", replies: but(tracks("", ""), "HELLO", okReply), polled: "protocol <nil>"},
	{product: "a server that knows no HELLO but numbers", replies: but(tracks("", ""), "HELLO", ":3\r\n"), polled: "protocol <nil>"},
	{product: "a server with an empty HELLO", replies: but(tracks("", ""), "HELLO", "%0\r\n"), polled: "protocol <nil>"},
	{product: "a server with a HELLO of null", replies: but(tracks("", ""), "HELLO", "_\r\n"), polled: "protocol <nil>"},
	{product: "a server with arrays for names", replies: but(tracks("", ""), "HELLO", "%1\r\n*1\r\n:1\r\n:2\r\n"), polled: "protocol <nil>"},
	{product: "a server with half a pair", replies: but(tracks("", ""), "HELLO", "*1\r\n+proto\r\n"), polled: "protocol <nil>"},

	// Who may not, and what is not ready, is no reason to poll.
	{product: "Redis 5, wrong password", replies: map[string]string{"AUTH": refusal("ERR invalid password")}, password: "p", fails: denied},
	{product: "Redis 5 without a password", replies: map[string]string{"AUTH": refusal("ERR Client sent AUTH, but no password is set")}, password: "p", fails: denied},
	{
		product: "Redis 5, a user", replies: map[string]string{"AUTH": refusal("ERR wrong number of arguments for 'auth' command")},
		user: "u", password: "p", fails: refused, words: "AUTH: ERR wrong number",
	},
	{product: "Redis 6, wrong password", replies: map[string]string{"AUTH": refusal("WRONGPASS invalid username-password pair")}, password: "p", fails: denied},
	{
		product: "Redis 7, Valkey and Dragonfly, wrong password", password: "p", fails: denied,
		replies: map[string]string{"AUTH": refusal("WRONGPASS invalid username-password pair or user is disabled.")},
	},
	{
		product: "Redis 6 to 8 without a password", password: "p", fails: denied,
		replies: map[string]string{"AUTH": refusal("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")},
	},
	{product: "Redis 6 to 8, no password given", replies: map[string]string{"HELLO": refusal(noAuthHello)}, fails: denied},
	{product: "Envoy, no password given", replies: map[string]string{"HELLO": refusal("NOAUTH Authentication required.")}, fails: denied},
	{
		product: "Redis 6.0, no right", fails: denied,
		replies: but(tracks("redis", "6.0.16"), "CLIENT", refusal("NOPERM this user has no permissions to run the 'client' command or its subcommand")),
	},
	{
		product: "Redis 7.0, no right", fails: denied, words: "CLIENT: NOPERM",
		replies: but(tracks("redis", "7.0.15"), "CLIENT", refusal("NOPERM this user has no permissions to run the 'client|tracking' command")),
	},
	{
		product: "Redis 7.2 and later, no right", fails: denied,
		replies: but(tracks("redis", "8.0.3"), "CLIENT", refusal("NOPERM User u has no permissions to run the 'client|tracking' command")),
	},
	{
		product: "Redis 7.2 and later, no right to a database", db: 1, fails: denied, words: "SELECT: NOPERM",
		replies: but(tracks("redis", "8.0.3"), "SELECT", refusal("NOPERM User u has no permissions to run the 'select' command")),
	},
	{
		product: "Redis in protected mode", fails: denied,
		replies: map[string]string{"HELLO": refusal("DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user.")},
	},
	{product: "Redis 3.2 to 6, loading", replies: map[string]string{"HELLO": refusal("LOADING Redis is loading the dataset in memory")}, fails: loading},
	{product: "Dragonfly, loading", replies: but(tracks("redis", "7.4.0"), "CLIENT", refusal("LOADING Dragonfly is loading the dataset in memory")), fails: loading},
	{
		product: "Redis 6, busy", fails: loading,
		replies: but(tracks("redis", "6.2.14"), "CLIENT", refusal("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.")),
	},
	{product: "Redis with too many clients", replies: map[string]string{"HELLO": refusal("ERR max number of clients reached")}, fails: loading},
	{product: "a Redis Cluster with too many clients", replies: map[string]string{"HELLO": refusal("ERR max number of clients + cluster connections reached")}, fails: loading},

	// Another database than the one that is meant is worse than none.
	{product: "Redis, no such database", replies: but(tracks("redis", "7.0.15"), "SELECT", refusal("ERR DB index is out of range")), db: 99, fails: refused, words: "SELECT: ERR DB index"},
	{product: "Redis Cluster, another database", replies: but(tracks("redis", "7.0.15"), "SELECT", refusal("ERR SELECT is not allowed in cluster mode")), db: 1, fails: refused},
	{product: "Redis, no cluster", replies: but(tracks("redis", "7.0.15"), "READONLY", refusal("ERR This instance has cluster support disabled")), readOnly: true, fails: refused},

	// Twemproxy closes the connection on HELLO, and it knows neither MULTI nor
	// XRANGE, so that there is nothing to fall back to.
	{product: "Twemproxy", replies: map[string]string{}, fails: closed, words: "HELLO"},

	// Nonsense.
	{product: "a billion elements announced", replies: map[string]string{"HELLO": "*1073741824\r\n+a\r\n"}, fails: protocol},
	{product: "an HTTP server", replies: map[string]string{"HELLO": "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"}, fails: protocol},
	{product: "an SSH server", replies: map[string]string{"HELLO": "SSH-2.0-OpenSSH_9.2p1\r\n"}, fails: protocol},
	{product: "a push of nothing", replies: map[string]string{"HELLO": ">1\r\n+x\r\n>-1\r\n"}, fails: protocol},
	{product: "an attribute of nothing", replies: map[string]string{"HELLO": "|1\r\n+x\r\n"}, hangsUp: true, fails: closed},
	{product: "a reply with an attribute", replies: but(tracks("", ""), "HELLO", "|1\r\n+ttl\r\n:5\r\n"+hello3("redis", "8.0.3"))},
	{product: "a negative length", replies: map[string]string{"HELLO": "%-2\r\n"}, fails: protocol},
	{product: "a value nested too deep", replies: map[string]string{"HELLO": strings.Repeat("*1\r\n", 40)}, fails: protocol},
	{product: "a string without an end", replies: map[string]string{"HELLO": "$3\r\nabcd\r\n"}, fails: protocol},
	{product: "512 MB announced", replies: map[string]string{"HELLO": "$536870912\r\n0123456789"}, fails: func(error) bool { return true }, words: "larger than expected"},
	{product: "half a billion elements announced", replies: map[string]string{"HELLO": "*536870912\r\n+a\r\n"}, hangsUp: true, fails: closed},
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	for _, c := range handshakeCases {
		t.Run(c.product, func(t *testing.T) {
			t.Parallel()
			a, err := c.run(t)
			switch {
			case c.fails != nil:
				if err == nil || !c.fails(err) || !strings.Contains(err.Error(), c.words) {
					t.Errorf("the error is %v", err)
				}
			case err != nil:
				t.Errorf("the error is %v", err)
			case c.polled != "":
				if a.why == nil || !strings.Contains(a.why.Error(), c.polled) {
					t.Errorf("polled because of %v", a.why)
				}
			case a.why != nil:
				t.Errorf("polled because of %v", a.why)
			}
			if a.trimsInside != c.inside {
				t.Errorf("trims inside: %v", a.trimsInside)
			}
		})
	}
}

// run connects to a server that answers as the case has it.
func (c *handshakeCase) run(t *testing.T) (abilities, error) {
	addr := redistest.ServeCommands(t, func(args []string) (string, bool) { return c.replies[args[0]], c.hangsUp })
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	rc := resp.NewConn(conn, patience, newTestNode(t).readPush)
	defer rc.Close()
	cfg := testConfig(t)
	cfg.DB = c.db
	cfg.Credentials = func(context.Context) (string, string, error) { return c.user, c.password, nil }
	return handshake(t.Context(), rc, cfg, c.readOnly)
}

// An error that repeats its arguments does not put the password into the log.
func TestHandshakeHidesThePassword(t *testing.T) {
	t.Parallel()
	const password = "s3cret"
	for name, answers := range map[string]func(command string) bool{
		"HELLO is unknown":           func(command string) bool { return command == "AUTH" },
		"AUTH is unknown":            func(string) bool { return false },
		"CLIENT TRACKING is unknown": func(command string) bool { return command != "CLIENT" },
	} {
		addr := redistest.ServeCommands(t, func(args []string) (string, bool) {
			switch {
			case !answers(args[0]):
				return refusal("ERR unknown command `" + args[0] + "`, with args beginning with: `" + strings.Join(args[1:], "`, `") + "`, "), false
			case args[0] == "HELLO":
				return hello3("redis", "7.0.15"), false
			}
			return okReply, false
		})
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		rc := resp.NewConn(conn, patience, nil)
		defer rc.Close()
		cfg := testConfig(t)
		cfg.Credentials = func(context.Context) (string, string, error) { return "u", password, nil }
		a, err := handshake(t.Context(), rc, cfg, false)
		said := errors.Join(a.why, err)
		if said == nil || strings.Contains(said.Error(), password) || !strings.Contains(said.Error(), "unknown command") {
			t.Errorf("%s: %v", name, said)
		}
	}
}

// Without a password there is nobody to authenticate as, and each session asks
// anew for one.
func TestHandshakeCredentials(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		user, password string
		want           string
	}{
		{"", "", "HELLO 3"},
		{"u", "", "HELLO 3"},
		{"", "p", "AUTH p"},
		{"u", "p", "AUTH u p"},
	} {
		var first string
		asker := askerFunc(func(args ...string) (any, error) {
			if first == "" {
				first = strings.Join(args, " ")
			}
			return nil, resp.Error("ERR no")
		})
		cfg := testConfig(t)
		cfg.Credentials = func(context.Context) (string, string, error) { return c.user, c.password, nil }
		_, _ = handshake(t.Context(), asker, cfg, false)
		if first != c.want {
			t.Errorf("user %q with password %q: the first command is %q, want %q", c.user, c.password, first, c.want)
		}
	}
	cfg := testConfig(t)
	unreadable := errors.New("the file of the password cannot be read")
	cfg.Credentials = func(context.Context) (string, string, error) { return "", "", unreadable }
	if _, err := handshake(t.Context(), nil, cfg, false); !errors.Is(err, unreadable) {
		t.Errorf("without credentials: %v", err)
	}
}

// askerFunc is a function as an Asker.
type askerFunc func(args ...string) (any, error)

func (f askerFunc) Do(args ...string) (any, error) { return f(args...) }
