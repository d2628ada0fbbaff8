//go:build !linux

package main

import "syscall"

// daemonAttr asks for nothing: only Linux ties a child's life to its parent's.
func daemonAttr() *syscall.SysProcAttr { return nil }
