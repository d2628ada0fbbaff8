package redistest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// run is one life of a server process. Its methods may be called concurrently.
type run struct {
	process *os.Process
	done    chan struct{} // closed when the process has ended and was reaped
	ended   string        // how it ended; readable once done is closed
	logFrom int64         // where its output starts in the log file
}

// startProcess starts program in dir, its output appended to the file logPath.
func startProcess(program string, args []string, dir, logPath string) (*run, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.SysProcAttr = sysProcAttr()

	r := &run{done: make(chan struct{}), logFrom: info.Size()}
	started := make(chan error)
	go func() {
		// Linux sends the death signal when the thread that forked ends, not
		// the process. This goroutine keeps its thread as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		r.process = cmd.Process
		started <- err
		if err != nil {
			return
		}
		r.ended = "exit status 0"
		if err := cmd.Wait(); err != nil {
			r.ended = err.Error()
		}
		close(r.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return r, nil
}

// exited reports whether the process has ended.
func (r *run) exited() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// wait reports whether the process ended within d.
func (r *run) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.done:
		return true
	case <-timer.C:
		return false
	}
}

// kill ends the process, frozen or not, and waits until it is gone.
func (r *run) kill() error {
	if err := r.process.Kill(); err != nil && !r.exited() && !r.wait(reapTimeout) {
		return err
	}
	if !r.wait(reapTimeout) {
		return fmt.Errorf("process %d is still there %v after SIGKILL", r.process.Pid, reapTimeout)
	}
	return nil
}

// reapTimeout is for a killed process to be gone: the kernel may still have
// its memory to free and its files to write.
const reapTimeout = 10 * time.Second

// output returns what the process has written since it started.
func (r *run) output(logPath string) string {
	b, err := os.ReadFile(logPath)
	if err != nil || int64(len(b)) < r.logFrom {
		return ""
	}
	return string(b[r.logFrom:])
}

// tail returns the last n lines of s.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Command returns the path of a program, from PATH or one of the sbin
// directories that an ordinary user's PATH leaves out. If it is not there the
// test fails and says which Debian package to install.
func Command(t testing.TB, name, debianPackage string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	t.Fatalf("this test needs the program %s, which is neither in PATH nor in /usr/sbin; on Debian: apt-get install %s", name, debianPackage)
	return ""
}
