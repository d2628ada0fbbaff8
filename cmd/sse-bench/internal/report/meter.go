package report

import (
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// Usage is what processes have used so far.
type Usage struct {
	User, System float64 // seconds of processor time
	RSS          int64   // resident bytes
	Peak         int64   // the most that was ever resident, in bytes; 0 if it is not known
}

// CPU returns the processor time in seconds.
func (u Usage) CPU() float64 { return u.User + u.System }

// clockTick is the unit of a process's times in /proc: USER_HZ, which is 100 on
// every Linux architecture that Go supports.
const clockTick = 100

// ReadProcesses adds up processes; an error names the one that cannot be read. It
// needs /proc, which only Linux has.
func ReadProcesses(pids []int) (Usage, error) {
	var sum Usage
	for _, pid := range pids {
		p, err := procfs.NewProc(pid)
		if err != nil {
			return sum, fmt.Errorf("process %d: %w", pid, err)
		}
		stat, err := p.Stat()
		if err != nil {
			return sum, fmt.Errorf("process %d: %w", pid, err)
		}
		status, err := p.NewStatus()
		if err != nil {
			return sum, fmt.Errorf("process %d: %w", pid, err)
		}
		sum.User += float64(stat.UTime) / clockTick
		sum.System += float64(stat.STime) / clockTick
		sum.RSS += int64(stat.ResidentMemory())
		sum.Peak += int64(status.VmHWM)
	}
	return sum, nil
}

// OwnCPU returns the processor seconds of this process.
func OwnCPU() float64 {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

// Meter reads what the server's processes, this tool and the machine use. When a
// process goes away, it says so once and the report has no server part.
type Meter struct {
	Pids   []int
	Stderr io.Writer

	gone      bool
	first     Usage // before the first connection
	conns     int
	start     Usage // of the measured phase
	startTime time.Time
	ownStart  float64 // seconds
	delivered int64   // before the measured phase
	machine   procfs.CPUStat
}

func (m *Meter) read() (Usage, bool) {
	if len(m.Pids) == 0 || m.gone {
		return Usage{}, false
	}
	u, err := ReadProcesses(m.Pids)
	if err != nil {
		m.gone = true
		fmt.Fprintln(m.Stderr, "sse-bench: no report about the server:", err)
		return u, false
	}
	return u, true
}

// Before starts the server's report, before the first connection; it returns nil
// without processes.
func (m *Meter) Before() *ServerReport {
	u, ok := m.read()
	if !ok {
		return nil
	}
	m.first = u
	return &ServerReport{RSSBefore: u.RSS}
}

// Connected notes the memory with n streams open, and what it took to get there.
func (m *Meter) Connected(r *Report, n int) {
	u, ok := m.read()
	if !ok {
		return
	}
	m.conns = max(n, 1)
	r.Server.RSSConnected = u.RSS
	r.Server.RSSPerConn = m.perConn(u)
	r.Server.PeakPerConn = float64(u.Peak-m.first.RSS) / float64(m.conns)
	r.Server.PerConnectUs = (u.CPU() - m.first.CPU()) * 1e6 / float64(m.conns)
}

func (m *Meter) perConn(u Usage) float64 {
	return float64(u.RSS-m.first.RSS) / float64(m.conns)
}

// Measure begins the measured phase. own is the tool's own processor time.
func (m *Meter) Measure(own float64, delivered int64) {
	m.start, _ = m.read()
	m.startTime, m.ownStart, m.delivered = time.Now(), own, delivered
	m.machine, _ = machineCPU()
}

// Finish ends the measured phase. Events counts those of the whole run.
func (m *Meter) Finish(r *Report, events int64, own float64) {
	if m.startTime.IsZero() {
		return // it did not come to that
	}
	n := events - m.delivered
	r.Deliver.PerSecond = PerSecond(n, r.Deliver.Seconds)
	r.Client.CPUSeconds = own - m.ownStart
	if r.Deliver.Seconds > 0 {
		r.Client.Cores = r.Client.CPUSeconds / time.Since(m.startTime).Seconds()
	}
	r.Machine = m.readMachine()
	u, ok := m.read()
	if !ok {
		r.Server = nil
		return
	}
	r.Server.UserSeconds = u.User - m.start.User
	r.Server.SystemSeconds = u.System - m.start.System
	r.Server.RSSMeasured = u.RSS
	if n > 0 {
		r.Server.PerDeliveryUs = (u.CPU() - m.start.CPU()) * 1e6 / float64(n)
	}
	if r.Publish == nil && m.conns > 0 {
		// Nothing but the streams, and what connecting left behind has had time
		// to be given back.
		r.Server.RSSPerConn = m.perConn(u)
	}
}

// After notes the memory once everybody has left.
func (m *Meter) After(r *Report) {
	if u, ok := m.read(); ok && r.Server != nil {
		r.Server.RSSAfter = u.RSS
	}
}

// readMachine returns nil where there is no /proc.
func (m *Meter) readMachine() *MachineReport {
	now, err := machineCPU()
	if err != nil {
		return nil
	}
	idle := now.Idle + now.Iowait - m.machine.Idle - m.machine.Iowait
	// Steal is time that the machine did not have.
	busy := now.User + now.Nice + now.System + now.IRQ + now.SoftIRQ + now.Steal -
		m.machine.User - m.machine.Nice - m.machine.System - m.machine.IRQ - m.machine.SoftIRQ - m.machine.Steal
	return &MachineReport{
		Cores: runtime.NumCPU(), Busy: busy / max(busy+idle, 1e-9), AvailableBytes: Available(),
	}
}

// Available returns the memory that the machine has left, in bytes; 0 where it is
// not known.
func Available() int64 {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	memory, err := fs.Meminfo()
	if err != nil || memory.MemAvailableBytes == nil {
		return 0
	}
	return int64(*memory.MemAvailableBytes)
}

func machineCPU() (procfs.CPUStat, error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return procfs.CPUStat{}, err
	}
	s, err := fs.Stat()
	return s.CPUTotal, err
}

// PerSecond is n over seconds, 0 for no time.
func PerSecond(n int64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(n) / seconds
}
