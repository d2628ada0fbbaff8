package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"
)

const (
	// spareFiles are the descriptors of a process that are no subscriber's sockets.
	spareFiles = 64
	// trackedPerStream is how many entries of connection tracking a stream on this
	// machine takes: one, whichever end of it is here.
	trackedPerStream = 1
	// kernelBytes is what both ends of a resting stream take in the kernel, and
	// clientBytes what the load client does.
	kernelBytes = 7_000
	clientBytes = 500
)

// host is what this machine allows; 0 is unknown or no limit.
type host struct {
	files     int // descriptors of one process
	allFiles  int // of all together (fs.file-max)
	tracked   int // connections that the firewall can track (nf_conntrack_max)
	processes int // and threads, of this container
	tcpPages  int // of memory for all TCP sockets (net.ipv4.tcp_mem, the last)
	available int // bytes of memory
}

func readHost() host {
	var r unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &r) // on an error it stays 0
	h := host{
		files:     int(min(r.Cur, 1<<30)),
		allFiles:  readNumber("/proc/sys/fs/file-max", 0),
		processes: readNumber("/sys/fs/cgroup/pids.max", 0),
		tcpPages:  readNumber("/proc/sys/net/ipv4/tcp_mem", 2),
		available: int(report.Available()),
	}
	if tracks() {
		h.tracked = readNumber("/proc/sys/net/netfilter/nf_conntrack_max", 0)
	}
	return h
}

// tracks tells whether a firewall tracks connections on loopback: the limit is
// there as soon as the kernel has the module, whether or not a rule uses it.
func tracks() bool {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return false
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return false
	}
	defer c.Close()
	return readNumber("/proc/sys/net/netfilter/nf_conntrack_count", 0) > 0
}

// readNumber returns number i of a file, 0 if there is none that counts.
func readNumber(path string, i int) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if i >= len(fields) {
		return 0
	}
	n, err := strconv.ParseInt(fields[i], 10, 64)
	if err != nil {
		return 0 // "max"
	}
	return int(min(n, 1<<40))
}

// tooFew tells that a process would run out of descriptors.
func (h host) tooFew(streams, processes int) bool {
	return h.files > 0 && (streams+processes-1)/processes+spareFiles > h.files
}

// lacks returns what the machine has too little of for so many streams in so many
// load processes. With local, the servers are on it too, as many as processes.
func (h host) lacks(streams, processes int, local bool) []string {
	ends, all := 1, processes
	if local {
		ends, all = 2, 2*processes
	}
	var out []string
	lack := func(has, needs int, format string, args ...any) {
		if has > 0 && has < needs {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	per := (streams + processes - 1) / processes
	lack(h.files, per+spareFiles, "%d streams in one process exceed its limit of %d files: --processes=%d, or raise the limit (ulimit -n)",
		per, h.files, (streams+h.files-spareFiles-1)/max(h.files-spareFiles, 1))
	lack(h.allFiles, ends*streams, "fs.file-max is %d, and %d streams need %d", h.allFiles, streams, ends*streams)
	lack(h.tracked, trackedPerStream*streams, "net.netfilter.nf_conntrack_max is %d: from there on a firewall drops the SYNs of %d streams", h.tracked, streams)
	lack(h.processes, 12*all, "this container allows %d threads, and %d processes need some %d", h.processes, all, 12*all)
	// A resting socket holds no page; what all of them hold while an event is on
	// its way is at most one each.
	lack(h.tcpPages, streams/4, "net.ipv4.tcp_mem allows %d pages for all sockets, and an event for %d streams may take %d at once", h.tcpPages, streams, streams/4)
	memory := streams * (kernelBytes*ends/2 + clientBytes)
	lack(h.available, memory, "%d MB of memory are available, and %d streams need some %d", h.available>>20, streams, memory>>20)
	return out
}
