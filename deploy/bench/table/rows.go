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
	{scenario: "connect", name: "9,000 connects, s", figure: connect, format: "%.2f", target: 0.8},
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

func (r results) print(w io.Writer) {
	fmt.Fprintln(w, "| | sse-gateway | nchan | ratio | target | |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	for _, row := range rows {
		if own, least, most, ok := r.median(row.scenario, "gateway", row.figure); ok {
			other, otherLeast, otherMost, beside := r.median(row.scenario, "nchan", row.figure)
			cells := [4]string{row.value(own, least, most)}
			if beside {
				cells[1] = row.value(other, otherLeast, otherMost)
				if other > 0 {
					cells[2] = fmt.Sprintf("%.2f", own/other)
				}
			}
			cells[3] = row.verdict(own, other, beside)
			fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", row.name, cells[0], cells[1], cells[2], cells[3])
		}
	}
	fmt.Fprintln(w, "\nMedians; in brackets the least and the most. The ratio is sse-gateway to nchan: under 1 is better, but for rates.")
	for _, f := range r.failures() {
		fmt.Fprintf(w, "- %s\n", f)
	}
}

// value writes a median and, if the rounds differ, their range.
func (row row) value(median, least, most float64) string {
	m, l, h := fmt.Sprintf(row.format, median), fmt.Sprintf(row.format, least), fmt.Sprintf(row.format, most)
	if l == h {
		return m
	}
	return m + " (" + l + "–" + h + ")"
}

// verdict writes the target and whether it was met, two cells.
func (row row) verdict(own, nchan float64, beside bool) string {
	word := map[bool]string{true: "pass", false: "**miss**"}
	switch {
	case row.beatNchan && beside:
		return "nchan's | " + word[own <= nchan]
	case row.beatNchan:
		return "nchan's | not measured"
	case row.target > 0:
		return fmt.Sprintf("at most %g | %s", row.target, word[own <= row.target])
	}
	return " | "
}
