package main

import (
	"fmt"
	"io"
	"time"
)

// meter reads what the server's processes and this tool use. When a process of
// -pids goes away, it says so once and the report has no server part.
type meter struct {
	pids   []int
	stderr io.Writer

	gone      bool
	first     procStat // before the first connection
	conns     int
	start     procStat // of the measured phase
	startTime time.Time
	ownStart  float64 // seconds
	delivered int64   // before the measured phase
}

func (m *meter) read() (procStat, bool) {
	if len(m.pids) == 0 || m.gone {
		return procStat{}, false
	}
	s, err := readProc(m.pids)
	if err != nil {
		m.gone = true
		fmt.Fprintln(m.stderr, "sse-bench: no report about the server:", err)
		return s, false
	}
	return s, true
}

// before starts the server's report, before the first connection; it returns
// nil without -pids.
func (m *meter) before() *ServerReport {
	s, ok := m.read()
	if !ok {
		return nil
	}
	m.first = s
	return &ServerReport{RSSBefore: s.rss}
}

// connected notes the memory with n streams open, and what it took to get there.
func (m *meter) connected(r *Report, n int) {
	s, ok := m.read()
	if !ok {
		return
	}
	m.conns = max(n, 1)
	r.Server.RSSConnected = s.rss
	r.Server.RSSPerConn = m.perConn(s)
	r.Server.PeakPerConn = float64(s.peak-m.first.rss) / float64(m.conns)
	r.Server.PerConnectUs = (s.cpu() - m.first.cpu()) * 1e6 / float64(m.conns)
}

func (m *meter) perConn(s procStat) float64 {
	return float64(s.rss-m.first.rss) / float64(m.conns)
}

// measure begins the measured phase. own is the tool's own processor time.
func (m *meter) measure(own float64, delivered int64) {
	m.start, _ = m.read()
	m.startTime, m.ownStart, m.delivered = time.Now(), own, delivered
}

// finish ends the measured phase.
func (m *meter) finish(r *Report, v *verdict, own float64) {
	if m.startTime.IsZero() {
		return // it did not come to that
	}
	n := v.Tally.Delivered - m.delivered
	r.Deliver.PerSecond = perSecond(n, r.Deliver.Seconds)
	r.Client.CPUSeconds = own - m.ownStart
	if r.Deliver.Seconds > 0 {
		r.Client.Cores = r.Client.CPUSeconds / time.Since(m.startTime).Seconds()
	}
	s, ok := m.read()
	if !ok {
		r.Server = nil
		return
	}
	r.Server.UserSeconds = s.user - m.start.user
	r.Server.SystemSeconds = s.system - m.start.system
	r.Server.RSSMeasured = s.rss
	if n > 0 {
		r.Server.PerDeliveryUs = (s.cpu() - m.start.cpu()) * 1e6 / float64(n)
	}
	if r.Publish == nil && m.conns > 0 {
		// Nothing but the streams, and what connecting left behind has had time
		// to be given back.
		r.Server.RSSPerConn = m.perConn(s)
	}
}

// after notes the memory once everybody has left.
func (m *meter) after(r *Report) {
	if s, ok := m.read(); ok && r.Server != nil {
		r.Server.RSSAfter = s.rss
	}
}

// procStat is what a process has used so far.
type procStat struct {
	user, system float64 // seconds
	rss          int64   // resident bytes
	peak         int64   // the most that was ever resident, in bytes
}

func (s procStat) cpu() float64 { return s.user + s.system }
