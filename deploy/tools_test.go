// Package deploy_test holds the configuration in deploy and docker-compose.yml
// together with the gateway: with the variables it reads, the series it
// exports, and the programs that read the files.
package deploy_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// check runs a program that is expected to succeed and returns what it printed.
func check(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// process is a program that runs beside the test.
type process struct {
	name  string
	cmd   *exec.Cmd
	out   redistest.Output
	ended chan struct{} // closed when it has ended; cmd.ProcessState is set then
}

// start runs a program until the end of the test, in the environment of the
// test and env, and shows what it printed if the test failed.
func start(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	return startExactly(t, append(os.Environ(), env...), name, args...)
}

// patience is how long a test waits for what should take moments: a loaded
// machine is slow, and a quick one never waits it out.
const patience = time.Minute

// startExactly is start with no environment but env.
func startExactly(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{name: name, cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.terminate()
		// SIGTERM is a quick stop for nginx, HAProxy and Redis; should one hang,
		// the test must not.
		select {
		case <-p.ended:
		case <-time.After(patience):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
		if t.Failed() {
			t.Logf("%s printed:\n%.20000s", name, p.out.String())
		}
	})
	return p
}

// terminate sends SIGTERM.
func (p *process) terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// requireEnd waits until the process, which was told to stop, has done so and
// well.
func (p *process) requireEnd(t *testing.T, within time.Duration) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		t.Fatalf("%s does not stop within %v", p.name, within)
	}
	if !p.cmd.ProcessState.Success() {
		t.Errorf("%s ended with %v", p.name, p.cmd.ProcessState)
	}
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// waitListening waits until something accepts connections at addr.
func waitListening(t *testing.T, addr string) {
	t.Helper()
	redistest.Eventually(t, patience, addr+" accepts connections", func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// writeTemp writes a file that lasts until the end of the test.
func writeTemp(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
