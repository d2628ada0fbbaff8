package redistest

import "syscall"

// sysProcAttr has the kernel kill a server when the test binary dies without
// running its cleanups: a panic, a timeout of go test, kill -9.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
