package main

import (
	"errors"
	"io"
	"net"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// netns is a network namespace of a test's own, which a process holds open.
type netns struct {
	t    *testing.T
	held string // the process's id
}

// newNetns makes a namespace with the loopback interface. It skips the test where the
// system does not allow that: it takes root.
func newNetns(t *testing.T) *netns {
	t.Helper()
	holder := exec.Command("sleep", "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := holder.Start(); errors.Is(err, syscall.EPERM) {
		t.Skip("this system lets the tests make no network namespace")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
	n := &netns{t: t, held: strconv.Itoa(holder.Process.Pid)}
	n.ip("link", "set", "lo", "up")
	return n
}

// command is a command that runs in the namespace.
func (n *netns) command(name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"-t", n.held, "-n", name}, args...)...)
}

// ip runs ip(8) in the namespace.
func (n *netns) ip(args ...string) {
	n.t.Helper()
	if out, err := n.command("ip", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %q: %v: %s", args, err, out)
	}
}

// link joins two namespaces by a cable with an address at each end.
func link(a, b *netns, addrA, addrB string) {
	a.t.Helper()
	a.ip("link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", b.held)
	for n, addr := range map[*netns]string{a: addrA, b: addrB} {
		n.ip("addr", "add", addr, "dev", "cable")
		n.ip("link", "set", "cable", "up")
	}
}

// do calls f on a thread that is in the namespace: the sockets that f makes belong
// there, wherever they are used.
func (n *netns) do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		ns, err := unix.Open("/proc/"+n.held+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(ns, unix.CLONE_NEWNET)
			_ = unix.Close(ns)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// listen returns a listener on the namespace's loopback interface.
func (n *netns) listen() (l net.Listener) {
	n.t.Helper()
	if err := n.do(func() (err error) { l, err = net.Listen("tcp", "127.0.0.1:0"); return err }); err != nil {
		n.t.Fatal(err)
	}
	return l
}

// dial connects from the namespace.
func (n *netns) dial(d *net.Dialer, addr string) (c net.Conn) {
	n.t.Helper()
	if err := n.do(func() (err error) { c, err = d.Dial("tcp", addr); return err }); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { c.Close() })
	return c
}

// forward gives each connection that l accepts one of its own from dial, until the
// test ends.
func forward(t *testing.T, l net.Listener, dial func() net.Conn) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to := dial()
			if to == nil {
				_ = from.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
				go func() { _, _ = io.Copy(pair[0], pair[1]); _ = pair[0].Close(); _ = pair[1].Close() }()
			}
		}
	}()
}
