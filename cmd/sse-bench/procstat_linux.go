package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// clockTick is the unit of utime and stime in /proc/PID/stat: USER_HZ, which is
// 100 on every Linux architecture that Go supports.
const clockTick = 100

// readProc adds up the processes; an error names the one that cannot be read.
func readProc(pids []int) (procStat, error) {
	var sum procStat
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return sum, fmt.Errorf("process %d: %w", pid, err)
		}
		s, err := parseProcStat(b)
		if err != nil {
			return sum, fmt.Errorf("process %d: %w", pid, err)
		}
		sum.user += s.user
		sum.system += s.system
		sum.rss += s.rss
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return sum, fmt.Errorf("process %d: %w", pid, err)
		}
		sum.peak += parsePeak(status)
	}
	return sum, nil
}

// parsePeak returns VmHWM of /proc/PID/status (proc_pid_status(5)) in bytes; 0 if
// there is none, as of a process that has ended.
func parsePeak(status []byte) int64 {
	for line := range bytes.Lines(status) {
		if value, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kib, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(value), []byte("kB")))), 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}

// parseProcStat reads /proc/PID/stat (proc_pid_stat(5)). The command name, field
// 2, may hold anything, so fields are counted from its closing parenthesis.
func parseProcStat(b []byte) (procStat, error) {
	var s procStat
	end := bytes.LastIndexByte(b, ')')
	fields := bytes.Fields(b[end+1:])
	if end < 0 || len(fields) < 22 {
		return s, fmt.Errorf("unexpected /proc stat line %.60q", b)
	}
	utime, err1 := strconv.ParseInt(string(fields[14-3]), 10, 64)
	stime, err2 := strconv.ParseInt(string(fields[15-3]), 10, 64)
	pages, err3 := strconv.ParseInt(string(fields[24-3]), 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return s, fmt.Errorf("unexpected /proc stat line %.60q", b)
	}
	s.user = float64(utime) / clockTick
	s.system = float64(stime) / clockTick
	s.rss = pages * int64(os.Getpagesize())
	return s, nil
}

// ownCPU returns the processor seconds of this process.
func ownCPU() float64 {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

// fileLimit returns how many descriptors this process may have. The Go runtime
// has raised the soft limit to the hard one.
func fileLimit() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 1 << 30
	}
	return int(min(r.Cur, 1<<30))
}
