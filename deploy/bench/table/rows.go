package main

import (
	"fmt"
	"io"
)

// row is one figure of a scenario.
type row struct {
	scenario, name string
	figure         func(report) float64
	format         string
	target         float64 // at most; 0: none
	beatNchan      bool    // the target is nchan's figure
}

func perConnection(r report) float64 { return r.Server.PerConn / 1000 }

// peak is the most memory while they connected.
func peak(r report) float64 { return r.Server.PeakPerConn / 1000 }

// returned is how much of the memory that the connections took was given back
// after they left, in percent.
func returned(r report) float64 {
	grown := r.Server.Connected - r.Server.Before
	if grown <= 0 {
		return 100
	}
	return 100 * (r.Server.Connected - r.Server.After) / grown
}

func cpu(r report) float64     { return r.Server.PerDelivery }
func p50(r report) float64     { return r.Latency.P50 }
func p99(r report) float64     { return r.Latency.P99 }
func connect(r report) float64 { return r.Connect.Seconds }
func storm(r report) float64   { return r.Storm.Seconds }
func reads(r report) float64   { return r.reads }
func rate(r report) float64    { return r.Deliver.PerSecond }
func client(r report) float64  { return r.Client.Cores }

var rows = []row{
	{scenario: "idle-one-9000", name: "9,000 idle on one channel, kB each", figure: perConnection, format: "%.2f"},
	{scenario: "idle-each-9000", name: "9,000 idle, a channel each, kB each", figure: perConnection, format: "%.2f"},
	{scenario: "idle-one-18000", name: "18,000 idle on one channel, kB each", figure: perConnection, format: "%.2f", target: 1.5},
	{scenario: "idle-one-18000", name: "… given back after they left, %", figure: returned, format: "%.0f"},
	{scenario: "idle-each-18000", name: "18,000 idle, a channel each, kB each", figure: perConnection, format: "%.2f", target: 2.5},
	{scenario: "idle-each-18000", name: "… given back after they left, %", figure: returned, format: "%.0f"},
	{scenario: "broadcast", name: "9,000 subscribers × 10/s, processor µs per delivery", figure: cpu, format: "%.2f", beatNchan: true},
	{scenario: "broadcast", name: "… p50, ms", figure: p50, format: "%.1f"},
	{scenario: "broadcast", name: "… p99, ms", figure: p99, format: "%.1f", beatNchan: true},
	{scenario: "broadcast", name: "… cores that the load client took", figure: client, format: "%.2f"},
	{scenario: "many", name: "9,000 channels, 1,000/s, p50, ms", figure: p50, format: "%.2f"},
	{scenario: "many", name: "… p99, ms", figure: p99, format: "%.2f", beatNchan: true},
	{scenario: "many", name: "… processor µs per delivery", figure: cpu, format: "%.1f"},
	{scenario: "connect", name: "9,000 connects, s", figure: connect, format: "%.2f", beatNchan: true},
	{scenario: "connect", name: "… peak resident kB per connection meanwhile", figure: peak, format: "%.2f", target: 2},
	{scenario: "connect-each", name: "9,000 connects, a channel each, s", figure: connect, format: "%.2f", beatNchan: true},
	{scenario: "connect-each", name: "… peak resident kB per connection meanwhile", figure: peak, format: "%.2f", target: 5},
	{scenario: "storm", name: "5,000 come back to a cold server, 100 missed each, s", figure: storm, format: "%.2f", target: 1},
	{scenario: "storm", name: "… XRANGE commands that Redis ran", figure: reads, format: "%.0f"},
	{scenario: "hot-0", name: "500 × 2,000/s, flush interval 0, deliveries/s", figure: rate, format: "%.0f"},
	{scenario: "hot-0", name: "… p50, ms", figure: p50, format: "%.0f"},
	{scenario: "hot-0", name: "… p99, ms", figure: p99, format: "%.0f"},
	{scenario: "hot-0", name: "… processor µs per delivery", figure: cpu, format: "%.2f"},
	{scenario: "hot-10ms", name: "500 × 2,000/s, flush interval 10 ms, deliveries/s", figure: rate, format: "%.0f"},
	{scenario: "hot-10ms", name: "… p50, ms", figure: p50, format: "%.0f"},
	{scenario: "hot-10ms", name: "… p99, ms", figure: p99, format: "%.0f"},
	{scenario: "hot-10ms", name: "… processor µs per delivery", figure: cpu, format: "%.2f"},
}

// fault marks figures of runs in which events were wrong.
const fault = " †"

func (r results) print(w io.Writer) {
	r.printServers(w)
	r.printCompression(w)
	for _, f := range r.failures() {
		fmt.Fprintf(w, "- %s\n", f)
	}
}

// printServers writes what there is of the gateway beside nchan.
func (r results) printServers(w io.Writer) {
	begun := false
	for _, row := range rows {
		own := r.passed(row.scenario, "gateway", row.figure)
		if own.rounds == 0 {
			continue
		}
		if !begun {
			begun = true
			fmt.Fprintln(w, "| | sse-gateway | nchan | ratio | target | |\n|---|---|---|---|---|---|")
		}
		nchan := r.compared(row.scenario, "nchan", row.figure)
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n",
			row.name, row.own(own), row.nchan(nchan), ratio(own, nchan), row.aim(), row.verdict(own, nchan))
	}
	if begun {
		fmt.Fprintln(w, "\nMedians; in brackets the least and the most. The ratio is sse-gateway to nchan: under 1 is better, but for rates."+
			" Rounds in which events were wrong do not count; of nchan, if there are no others, they are shown with"+fault+", and no target is compared with them.")
	}
}

// own writes the gateway's cell.
func (row row) own(f figures) string {
	if f.none() {
		return "**failed**"
	}
	return row.value(f)
}

// nchan writes nchan's cell.
func (row row) nchan(f figures) string {
	switch {
	case f.rounds == 0:
		return ""
	case f.counted == 0:
		return "**failed**"
	case f.none():
		return row.value(f) + fault
	}
	return row.value(f)
}

// value writes a median and, if the rounds differ, their range.
func (row row) value(f figures) string {
	m, l, h := fmt.Sprintf(row.format, f.median), fmt.Sprintf(row.format, f.least), fmt.Sprintf(row.format, f.most)
	if l == h {
		return m
	}
	return m + " (" + l + "–" + h + ")"
}

func ratio(own, nchan figures) string {
	switch {
	case own.none() || nchan.median <= 0:
		return ""
	case nchan.none():
		return fmt.Sprintf("%.2f", own.median/nchan.median) + fault
	}
	return fmt.Sprintf("%.2f", own.median/nchan.median)
}

// aim writes the target.
func (row row) aim() string {
	switch {
	case row.beatNchan:
		return "nchan's"
	case row.target > 0:
		return fmt.Sprintf("at most %g", row.target)
	}
	return ""
}

// verdict writes whether the target was met, and how many rounds that is not
// said of. A gateway that loses events meets none, and to be better than a server
// that does proves nothing.
func (row row) verdict(own, nchan figures) string {
	limit := row.target
	switch {
	case own.none():
		return "**failed**"
	case !row.beatNchan && row.target <= 0:
		return ""
	case row.beatNchan && nchan.rounds == 0:
		return "not measured"
	case row.beatNchan && nchan.none():
		return "nchan failed"
	case row.beatNchan:
		limit = nchan.median
	}
	word := "pass"
	if own.median > limit {
		word = "**miss**"
	}
	if own.failed > 0 {
		word += fmt.Sprintf(", **%d of %d rounds failed**", own.failed, own.rounds)
	}
	return word
}
