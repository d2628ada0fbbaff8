package clients

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// patience is how long a test waits for what should take seconds: a loaded
// machine is slow, and a quick one never waits it out.
const patience = 90 * time.Second

// process is a program that runs until the end of the test, or until it is told
// to stop. It has a process group of its own, so that its children end with it.
type process struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
}

// startProcess starts a program. Its output goes to the test's log, except the
// lines of standard output if lines is not nil: it is called with each.
func startProcess(t *testing.T, env []string, lines func(string), program string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program, args...), gone: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.WaitDelay = time.Second // what it has started may hold the pipe
	var out io.ReadCloser
	if lines != nil {
		var err error
		if out, err = p.cmd.StdoutPipe(); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	go func() {
		defer close(p.gone)
		if out != nil {
			in := bufio.NewScanner(out)
			in.Buffer(nil, 1<<20)
			for in.Scan() {
				lines(in.Text())
			}
		}
		_ = p.cmd.Wait()
	}()
	t.Cleanup(p.kill)
	return p
}

// stop ends the process as an operator does, and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.gone
}

// kill ends the process and its children at once.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.gone
}

// gatewayProgram is the program under test, which is built once.
var gatewayProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "clients")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "sse-gateway")
	build := exec.Command("go", "build", "-o", path, "./cmd/sse-gateway")
	build.Dir = "../.."
	build.Stderr = os.Stderr
	return path, build.Run()
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := gatewayProgram(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// gateway is one replica, at addresses that it keeps when it is started again.
type gateway struct {
	t           *testing.T
	addr, admin string
	env         []string
	*process
}

func startGateway(t *testing.T, env ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, addr: redistest.FreeAddr(t), admin: redistest.FreeAddr(t), env: env}
	g.start()
	return g
}

func (g *gateway) start() {
	g.t.Helper()
	program, err := gatewayProgram()
	if err != nil {
		g.t.Fatalf("building the gateway: %v", err)
	}
	g.process = startProcess(g.t, append([]string{"SSE_ADDR=" + g.addr, "SSE_ADMIN_ADDR=" + g.admin}, g.env...), nil, program)
	awaitReady(g.t, "http://"+g.admin+"/readyz")
}

// roll replaces the gateway as a roll-out does.
func (g *gateway) roll() {
	g.stop()
	g.start()
}

// crash ends it with kill -9 and starts it again.
func (g *gateway) crash() {
	g.kill()
	g.start()
}
