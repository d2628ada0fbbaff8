package redistest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// dial returns a client as code under test would have it: by the URL.
func dial(t *testing.T, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled = -1, 1, true
	c := redis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	return c
}

func ping(c *redis.Client, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return c.Ping(ctx).Err()
}

func gone(pid int) bool {
	p, err := os.FindProcess(pid)
	return err != nil || errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

func (s *Server) pid() int { return s.run.Load().process.Pid }

func TestServer(t *testing.T) {
	t.Parallel()
	var pid int
	t.Run("running", func(t *testing.T) {
		s := Start(t, WithUnixSocket(), WithConfig("maxmemory 123mb"))
		pid = s.pid()
		id := s.XAdd("k", "data", "hello")
		if got := s.Do("XLEN", "k"); got != int64(1) {
			t.Errorf("XLEN after XAdd %s: %v", id, got)
		}
		if got := s.Do("GET", "nothing"); got != nil {
			t.Errorf("a null reply: %v", got)
		}
		if got := s.Info("memory")["maxmemory"]; got != "128974848" {
			t.Errorf("WithConfig: maxmemory is %s", got)
		}
		if err := ping(dial(t, s.URL()), settleTimeout); err != nil {
			t.Errorf("by URL: %v", err)
		}
		if err := ping(dial(t, "unix://"+s.Socket), settleTimeout); err != nil {
			t.Errorf("by socket: %v", err)
		}
		if m := failure(t, func(tb testing.TB) {
			s.copyFor(tb).Do("NONSENSE")
		}); !strings.Contains(m, "NONSENSE") || !strings.Contains(m, "unknown command") {
			t.Errorf("a failed Do says %q", m)
		}
	})
	if !gone(pid) {
		t.Errorf("process %d outlived its test", pid)
	}
}

// copyFor returns a handle on the same server that fails another test.
func (s *Server) copyFor(t testing.TB) *Server {
	return &Server{t: t, cfg: s.cfg, port: s.port, client: s.client}
}

func TestRestartKeepsDataOnlyWithAOF(t *testing.T) {
	t.Parallel()
	plain, aof := Start(t), Start(t, WithAOF())
	for _, s := range []*Server{plain, aof} {
		s.XAdd("k", "a", "b")
		addr, pid := s.Addr(), s.pid()
		s.Kill()
		if s.Alive() || !gone(pid) || ping(s.Client(), time.Second) == nil {
			t.Errorf("%s is there after Kill", addr)
		}
		s.Restart()
		if s.Addr() != addr || s.pid() == pid {
			t.Errorf("Restart: %s process %d became %s process %d", addr, pid, s.Addr(), s.pid())
		}
	}
	if n := plain.Do("XLEN", "k"); n != int64(0) {
		t.Errorf("without an AOF: %v entries", n)
	}
	if n := aof.Do("XLEN", "k"); n != int64(1) {
		t.Errorf("with an AOF: %v entries", n)
	}
	aof.Stop()
	if aof.Alive() {
		t.Error("alive after Stop")
	}
	aof.Stop()
	aof.Kill()
}

func TestPauseResume(t *testing.T) {
	t.Parallel()
	s := Start(t)
	c := dial(t, s.URL())
	if err := ping(c, settleTimeout); err != nil {
		t.Fatal(err)
	}
	s.Pause()
	if err := ping(c, 100*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
		t.Errorf("a paused server: %v", err)
	}
	s.Resume()
	if err := ping(c, settleTimeout); err != nil {
		t.Errorf("after Resume: %v", err)
	}
	s.Pause()
	s.Stop()
	if s.Alive() {
		t.Error("a paused server outlived Stop")
	}
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func TestClients(t *testing.T) {
	t.Parallel()
	s := Start(t)
	if n := s.NumClients(); n != 0 {
		t.Errorf("%d clients before any", n)
	}
	o, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.ClientName, o.MaxRetries = "victim", -1
	c := redis.NewClient(o)
	defer c.Close()
	conn := c.Conn()
	defer conn.Close()
	if err := conn.XLen(t.Context(), "k").Err(); err != nil {
		t.Fatal(err)
	}
	if n := s.NumClients(); n != 1 {
		t.Errorf("%d clients, want 1: %v", n, s.ClientList())
	}
	stats := s.Commandstats()
	if stats["xlen"] != 1 || stats["client|list"] < 2 || stats["xadd"] != 0 {
		t.Errorf("Commandstats: %v", stats)
	}
	if n := s.KillClients(func(c map[string]string) bool { return c["name"] == "nobody" }); n != 0 {
		t.Errorf("killed %d of nobody", n)
	}
	if n := s.KillClients(func(map[string]string) bool { return true }); n != 1 {
		t.Errorf("killed %d, want 1", n)
	}
	if err := conn.Ping(t.Context()).Err(); err == nil {
		t.Error("the killed connection works")
	}
}

func TestPasswordAndUsers(t *testing.T) {
	t.Parallel()
	s := Start(t, WithPassword("p@ss:w/rd"), WithUser("alice on >secret ~sse:* +xread +ping"))
	if err := ping(dial(t, "redis://"+s.Addr()), time.Second); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("without the password: %v", err)
	}
	if err := ping(dial(t, s.URL()), settleTimeout); err != nil {
		t.Errorf("by URL %s: %v", s.URL(), err)
	}
	alice := dial(t, s.URLAs("alice", "secret"))
	if err := ping(alice, settleTimeout); err != nil {
		t.Errorf("alice: %v", err)
	}
	if err := alice.Do(t.Context(), "XADD", "sse:a", "*", "a", "b").Err(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("alice writes: %v", err)
	}
	off := Start(t, WithUser("default off"))
	off.XAdd("k", "a", "b")
	r := StartReplica(t, s)
	if err := ping(dial(t, r.URLAs("alice", "secret")), settleTimeout); err != nil {
		t.Errorf("alice on the replica: %v", err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := Start(t, WithTLS())
	if !strings.HasPrefix(s.URL(), "rediss://"+s.Addr()+"/0?ca=") {
		t.Errorf("URL %s", s.URL())
	}
	s.XAdd("k", "a", "b")
	s.Kill()
	s.Restart()
	s.XAdd("k", "a", "b")
	try := func(f *TLSFiles, host string) error {
		cfg := f.ClientConfig()
		cfg.ServerName = host
		c := redis.NewClient(&redis.Options{Addr: s.Addr(), TLSConfig: cfg, MaxRetries: -1, DialerRetries: 1})
		defer c.Close()
		return ping(c, settleTimeout)
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if err := try(s.cfg.tls, host); err != nil {
			t.Errorf("as %s: %v", host, err)
		}
	}
	if err := try(NewTLSFiles(t), "127.0.0.1"); err == nil {
		t.Error("another authority is trusted")
	}
	for _, file := range []string{s.CAFile, s.CertFile, s.KeyFile} {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
	if err := ping(dial(t, "redis://"+s.Addr()), 2*time.Second); err == nil {
		t.Error("plain text is accepted")
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// Someone who answers must not be taken for the server.
	web := &http.Server{Handler: http.NotFoundHandler()}
	go web.Serve(l)
	defer web.Close()
	port := l.Addr().(*net.TCPAddr).Port
	m := failure(t, func(tb testing.TB) { Start(tb, WithPort(port)) })
	if !strings.Contains(m, strconv.Itoa(port)) || !strings.Contains(m, errPortTaken.Error()) {
		t.Errorf("Start on a taken port says %q", m)
	}
	m = failure(t, func(tb testing.TB) { Start(tb, WithConfig("no-such-directive 1")) })
	if !strings.Contains(m, "no-such-directive") {
		t.Errorf("Start with a bad configuration says %q", m)
	}
	free := FreePort(t)
	if s := Start(t, WithPort(free)); s.Port() != free || s.Addr() != "127.0.0.1:"+strconv.Itoa(free) {
		t.Errorf("WithPort(%d) listens on %s", free, s)
	}
}

func TestCommandNamesThePackage(t *testing.T) {
	t.Parallel()
	if path := Command(t, "redis-server", "redis-server"); path == "" {
		t.Error("no path")
	}
	m := failure(t, func(tb testing.TB) { Command(tb, "no-such-program", "its-package") })
	if !strings.Contains(m, "no-such-program") || !strings.Contains(m, "apt-get install its-package") {
		t.Errorf("it says %q", m)
	}
}

func TestEventually(t *testing.T) {
	t.Parallel()
	n := 0
	Eventually(t, settleTimeout, "the third look", func() bool { n++; return n == 3 })
	m := failure(t, func(tb testing.TB) {
		Eventually(tb, time.Millisecond, "the impossible", func() bool { return false })
	})
	if !strings.Contains(m, "the impossible") {
		t.Errorf("it says %q", m)
	}
}

const orphanVariable = "REDISTEST_ORPHAN"

// The test binary runs itself; the inner one starts a server and is killed.
func TestServerDiesWithTheTestBinary(t *testing.T) {
	if os.Getenv(orphanVariable) != "" {
		s := Start(t)
		if err := os.WriteFile(os.Getenv(orphanVariable), []byte(strconv.Itoa(s.pid())), 0o600); err != nil {
			t.Fatal(err)
		}
		select {}
	}
	t.Parallel()
	file := t.TempDir() + "/pid"
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithTheTestBinary$", "-test.timeout=60s")
	// The killed binary cannot remove its directories; they go with ours.
	cmd.Env = append(os.Environ(), orphanVariable+"="+file, "TMPDIR="+t.TempDir())
	cmd.SysProcAttr = sysProcAttr()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	started := Poll(settleTimeout, func() bool {
		b, _ := os.ReadFile(file)
		pid, _ = strconv.Atoi(string(b))
		return pid != 0
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // says that it was killed
	if !started {
		t.Fatal("the inner test started no server")
	}
	Eventually(t, settleTimeout, "the orphaned server to be gone", func() bool { return gone(pid) })
}
