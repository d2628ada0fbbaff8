package redistest

import (
	"strconv"
	"strings"
)

// The ACL user that the harness, its replicas and its sentinels log in as.
// Every server has it, whatever the test does to the other users.
const (
	harnessUser     = "redistest"
	harnessPassword = "redistest-harness"
)

// harnessName is the client name of the harness's own connections; those of
// replicas and sentinels have the user, but not the name.
const harnessName = "redistest"

// mode is what a redis-server process is run as.
type mode uint8

const (
	modeServer mode = iota
	modeSentinel
	modeCluster
)

// config is what the options say. It is read-only once a server has it.
type config struct {
	mode     mode
	port     int // 0: any free one
	aof      bool
	socket   string // path; "": none
	wantSock bool
	wantTLS  bool
	tls      *TLSFiles // nil: plain
	password string    // of the default user; "": none
	users    []string  // ACL lines
	own      []string  // the harness's own further directives
	lines    []string  // the test's, last, so that they win
}

// Option sets up a server.
type Option func(*config)

// WithAOF keeps the data over Kill and Restart: an append-only file, synced
// before every reply. Without it a server starts empty.
func WithAOF() Option { return func(c *config) { c.aof = true } }

// WithTLS has the server speak TLS only, with a certificate of a new authority,
// and ask clients for one of it too.
func WithTLS() Option { return func(c *config) { c.wantTLS = true } }

// WithTLSFiles is WithTLS with the files of an authority that the caller made.
func WithTLSFiles(f *TLSFiles) Option { return func(c *config) { c.wantTLS, c.tls = true, f } }

// WithUnixSocket has the server listen on a Unix socket too; see Server.Socket.
func WithUnixSocket() Option { return func(c *config) { c.wantSock = true } }

// WithConfig adds lines in the syntax of redis.conf; they win over the
// harness's own.
func WithConfig(lines ...string) Option {
	return func(c *config) { c.lines = append(c.lines, lines...) }
}

// WithPassword gives the default user a password (requirepass).
func WithPassword(password string) Option { return func(c *config) { c.password = password } }

// WithUser adds an ACL user, in the syntax of the user directive without that
// word: "alice on >secret ~sse:* +@read". "default off" and the like are fine.
func WithUser(acl string) Option { return func(c *config) { c.users = append(c.users, acl) } }

// WithPort uses this port instead of a free one. The test fails if it is taken.
func WithPort(port int) Option { return func(c *config) { c.port = port } }

// withOwn is for directives of the harness.
func withOwn(lines ...string) Option {
	return func(c *config) { c.own = append(c.own, lines...) }
}

// withMode has the process run as something else than a plain server.
func withMode(m mode) Option { return func(c *config) { c.mode = m } }

// access returns the options that give another server the same users,
// passwords and certificates.
func (c *config) access() []Option {
	opts := []Option{func(o *config) {
		o.password = c.password
		o.users = append(o.users, c.users...)
	}}
	if c.tls != nil {
		opts = append(opts, WithTLSFiles(c.tls))
	}
	return opts
}

// text returns the configuration file of a server on port, with its data in dir.
func (c *config) text(port int, dir string) string {
	lines := []string{"bind 127.0.0.1", "daemonize no", `logfile ""`, "dir " + quote(dir)}
	if c.tls != nil {
		lines = append(lines, "port 0", "tls-port "+strconv.Itoa(port))
		lines = append(lines, c.tls.serverLines()...)
	} else {
		lines = append(lines, "port "+strconv.Itoa(port))
	}
	if c.socket != "" {
		lines = append(lines, "unixsocket "+quote(c.socket), "unixsocketperm 700")
	}
	if c.mode != modeSentinel {
		lines = append(lines, c.dataLines()...)
	}
	if c.password != "" {
		lines = append(lines, "requirepass "+quote(c.password))
	}
	lines = append(lines, "user "+harnessUser+" on >"+harnessPassword+" ~* &* +@all")
	for _, u := range c.users {
		lines = append(lines, "user "+u)
	}
	lines = append(lines, c.own...)
	lines = append(lines, c.lines...)
	return strings.Join(lines, "\n") + "\n"
}

// dataLines are the directives that a sentinel does not have.
func (c *config) dataLines() []string {
	lines := []string{
		`save ""`,
		// DEBUG SLEEP, DEBUG OBJECT and so on are of use in tests.
		"enable-debug-command local",
		// A replica that a test has frozen must not hold up SIGTERM for the
		// default 10 seconds.
		"shutdown-timeout 1",
		// Replicas come in one at a time here; there is no crowd to wait for.
		"repl-diskless-sync-delay 0",
		// Or a replica without persistence would start with the data of its
		// last full sync.
		"rdb-del-sync-files yes",
		"masteruser " + harnessUser,
		"masterauth " + harnessPassword,
	}
	if c.aof {
		return append(lines, "appendonly yes", "appendfsync always")
	}
	return append(lines, "appendonly no")
}

// quote writes a value so that redis.conf takes it as one word.
func quote(s string) string { return strconv.Quote(s) }
