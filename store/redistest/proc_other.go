//go:build !linux

package redistest

import "syscall"

// sysProcAttr asks for nothing: only Linux ties a child's life to its parent's.
func sysProcAttr() *syscall.SysProcAttr { return nil }
