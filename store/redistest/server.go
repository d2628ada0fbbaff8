package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// startTimeout is for a server to load its data and answer.
	startTimeout = 20 * time.Second
	// logLines is how much of a server's output a failed test shows.
	logLines = 30
)

// errPortTaken is why a server did not start.
var errPortTaken = errors.New("the port is taken")

// Server is one redis-server process. See the package's documentation for
// which goroutine may call its methods.
type Server struct {
	// Of a server with TLS: files that a client needs. Else empty.
	CAFile, CertFile, KeyFile string
	// Socket is the path of the Unix socket, with WithUnixSocket. Else empty.
	Socket string

	// Fixed when Start returns.
	t       testing.TB
	cfg     config
	program string
	dir     string
	port    int
	client  *redis.Client

	// lifecycle is held from the start of Kill, Stop, Restart, … to its end, so
	// that each sees a process that is either there or gone.
	lifecycle sync.Mutex

	// run is the process's present or last life; nil before the first. It is
	// replaced under lifecycle and read anywhere.
	run atomic.Pointer[run]
	// paused is set from Pause until Resume or the end of the process.
	paused atomic.Bool
}

// Start starts a redis-server, without persistence unless asked for, and
// returns when it answers. It ends with the test.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := &Server{t: t, program: Command(t, "redis-server", "redis-server"), dir: t.TempDir()}
	for _, o := range opts {
		o(&s.cfg)
	}
	if s.cfg.wantTLS && s.cfg.tls == nil {
		s.cfg.tls = NewTLSFiles(t)
	}
	if f := s.cfg.tls; f != nil {
		s.CAFile, s.CertFile, s.KeyFile = f.CAFile, f.ClientCertFile, f.ClientKeyFile
	}
	if s.cfg.wantSock {
		s.cfg.socket = filepath.Join(shortDir(t), "redis.sock")
		s.Socket = s.cfg.socket
	}
	t.Cleanup(s.cleanup)
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	for attempt := 1; ; attempt++ {
		s.usePort()
		err := s.boot()
		if err == nil {
			return s
		}
		if !errors.Is(err, errPortTaken) || s.cfg.port != 0 || attempt == portAttempts {
			t.Fatalf("starting redis-server on %s: %v", s.Addr(), err)
		}
	}
}

// usePort chooses a port and writes the configuration for it.
func (s *Server) usePort() {
	s.t.Helper()
	s.port = s.cfg.port
	if s.port == 0 && s.cfg.mode == modeCluster {
		s.port = freePort(s.t, busOffset)
	} else if s.port == 0 {
		s.port = FreePort(s.t)
	}
	if err := os.WriteFile(s.configPath(), []byte(s.cfg.text(s.port, s.dir)), 0o600); err != nil {
		s.t.Fatalf("writing the configuration of redis-server: %v", err)
	}
	if s.client != nil {
		s.client.Close()
	}
	s.client = s.newClient()
}

func (s *Server) newClient() *redis.Client {
	o := &redis.Options{
		Addr: s.Addr(), Username: harnessUser, Password: harnessPassword, ClientName: harnessName,
		Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true,
		// A retried XADD could add an entry twice, and what a test counts
		// must be what it asked for.
		MaxRetries: -1,
		// A server that is down is for the test to wait for, not the client.
		DialerRetries: 1,
	}
	if s.cfg.tls != nil {
		o.TLSConfig = s.cfg.tls.ClientConfig()
		// go-redis cannot see that the server closed an idle TLS connection,
		// and without retries a command after Restart would fail on it. So
		// no TLS connection is used twice.
		o.ConnMaxIdleTime = time.Nanosecond
	}
	return redis.NewClient(o)
}

// boot starts the process and waits until it answers. The caller holds
// lifecycle.
func (s *Server) boot() error {
	args := []string{s.configPath()}
	if s.cfg.mode == modeSentinel {
		args = append(args, "--sentinel")
	}
	r, err := startProcess(s.program, args, s.dir, s.logPath())
	if err != nil {
		return err
	}
	s.run.Store(r)
	s.paused.Store(false)
	var last error
	answered := Poll(startTimeout, func() bool {
		if r.exited() {
			return true
		}
		last = s.probe(r)
		return last == nil
	})
	switch {
	case r.exited():
		out := r.output(s.logPath())
		if strings.Contains(out, "Address already in use") {
			return fmt.Errorf("%w: %s", errPortTaken, tail(out, 3))
		}
		return fmt.Errorf("it ended (%s): %s", r.ended, tail(out, logLines))
	case !answered:
		return fmt.Errorf("no answer within %v: %w", startTimeout, last)
	}
	return nil
}

// probe returns nil once the process r, and not another that has the port,
// answers and has loaded its data.
func (s *Server) probe(r *run) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	// The client counts failed dials and slows down; a bare dial does not.
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr())
	if err != nil {
		return err
	}
	conn.Close()
	if err := s.client.Ping(ctx).Err(); err != nil {
		return err
	}
	info, err := s.client.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	if pid := infoFields(info)["process_id"]; pid != strconv.Itoa(r.process.Pid) {
		return fmt.Errorf("%s is answered by process %s, not by %d", s.Addr(), pid, r.process.Pid)
	}
	return nil
}

// cleanup ends the process, whatever state it is in.
func (s *Server) cleanup() {
	if s.client != nil {
		s.client.Close()
	}
	r := s.run.Load()
	if r == nil {
		return
	}
	if err := r.kill(); err != nil {
		s.t.Errorf("ending redis-server on %s: %v", s.Addr(), err)
	}
	if s.t.Failed() {
		b, _ := os.ReadFile(s.logPath())
		s.t.Logf("output of redis-server on %s:\n%s", s.Addr(), tail(string(b), logLines))
	}
}

// shortDir is a temporary directory for a Unix socket, whose path may have only
// about a hundred bytes; that of testing.TB has the test's name in it.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rt")
	if err != nil {
		t.Fatalf("making a directory for a socket: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (s *Server) configPath() string { return filepath.Join(s.dir, "redis.conf") }
func (s *Server) logPath() string    { return filepath.Join(s.dir, "redis.log") }
