package main

import "syscall"

// daemonAttr has the kernel kill a process when the test binary dies without
// running its cleanups: a panic, a timeout of go test, kill -9.
func daemonAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
