package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// daemon is a program that a test starts, ends and starts again, with all that
// it ever printed in one file. Its methods may be called concurrently.
type daemon struct {
	path, logPath string
	args, env     []string

	mu   sync.Mutex
	life *life // guarded by mu; nil before the first start
}

// life is one process of a daemon.
type life struct {
	process *os.Process
	done    chan struct{} // closed when the process was reaped
	code    int           // exit code, -1 after a signal; readable once done is closed
}

// start starts the program.
func (d *daemon) start() error {
	log, err := os.OpenFile(d.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(log, "--- %s starts\n", time.Now().Format(time.StampMicro))
	cmd := exec.Command(d.path, d.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = d.env, log, log, daemonAttr()
	l := &life{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux sends the death signal when the thread that forked ends, not
		// the process. This goroutine keeps its thread as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		l.process = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() // the exit code says it all
			l.code = cmd.ProcessState.ExitCode()
			close(l.done)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life = l
	return nil
}

func (d *daemon) current() *life {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.life
}

// alive reports whether the process is there.
func (d *daemon) alive() bool {
	l := d.current()
	if l == nil {
		return false
	}
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}

// signal sends a signal to the process.
func (d *daemon) signal(sig os.Signal) error {
	l := d.current()
	if l == nil {
		return os.ErrProcessDone
	}
	return l.process.Signal(sig)
}

// kill ends the process, frozen or not, and waits until it is gone.
func (d *daemon) kill() error {
	if !d.alive() {
		return nil
	}
	_ = d.signal(syscall.SIGKILL) // it may have ended this very moment
	_, err := d.wait(patience)
	return err
}

// wait returns the exit code once the process is gone.
func (d *daemon) wait(within time.Duration) (code int, err error) {
	l := d.current()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-l.done:
		return l.code, nil
	case <-timer.C:
		return 0, fmt.Errorf("process %d is still there after %v", l.process.Pid, within)
	}
}

// stop ends the process by SIGTERM and returns an error if it does not end well
// and in time. One that outstays its time says what it hangs in.
func (d *daemon) stop(within time.Duration) error {
	if err := d.signal(syscall.SIGTERM); err != nil {
		return err
	}
	code, err := d.wait(within)
	switch {
	case err != nil:
		_ = d.signal(syscall.SIGQUIT)
		return fmt.Errorf("after SIGTERM: %w", err)
	case code != 0:
		return fmt.Errorf("exit code %d after SIGTERM", code)
	}
	return nil
}

// freeze stops the process (SIGSTOP) for a while, which it must outlive.
func (d *daemon) freeze(while time.Duration) error {
	if err := d.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	if code, err := d.wait(while); err == nil {
		return fmt.Errorf("ended with code %d while it was frozen", code)
	}
	return d.signal(syscall.SIGCONT)
}
