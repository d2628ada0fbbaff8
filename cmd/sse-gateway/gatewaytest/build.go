// Package gatewaytest builds the programs of this repository for the tests that
// run them as processes. The tests of several packages share what it builds.
package gatewaytest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"syscall"
)

// Build builds a program and returns its absolute path. pkg is the directory of
// its package from the root of the repository, as cmd/sse-gateway. Without race
// it is built as a release is, so that what is measured is what is deployed.
//
// The program stays in bin/test, and go build does nothing there if it is up to
// date. Tests of several packages, and so processes, may call Build at once.
func Build(pkg string, race bool) (path string, err error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "bin", "test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	path = filepath.Join(dir, filepath.Base(pkg))
	args, env := []string{"build"}, append(os.Environ(), "CGO_ENABLED=0")
	if race {
		path += "-race"
		args, env = append(args, "-race"), os.Environ()
	}
	cmd := exec.Command("go", append(args, "-o", path, "./"+pkg)...)
	cmd.Dir, cmd.Env = root, env
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// Race reports whether the test itself has the race detector.
func Race() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// Root returns the root of the repository, in which the test's directory
// is. Modules within it, which hold tests of clients, have no cmd/sse-gateway.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, noModule := os.Stat(filepath.Join(dir, "go.mod"))
		_, noProgram := os.Stat(filepath.Join(dir, "cmd", "sse-gateway"))
		if noModule == nil && noProgram == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("the test does not run in the repository of sse-gateway")
		}
		dir = parent
	}
}

// lock waits until no other process holds the lock of this name. The system
// gives it back when a process ends without unlock.
func lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", name, err)
	}
	return func() { f.Close() }, nil
}
