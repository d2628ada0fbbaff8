package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// compressionRow is one figure of a scenario with compression and without.
type compressionRow struct {
	name   string
	figure func(report) float64
	format string
	target float64 // the ratio is to be at most this; 0: none
}

// perDelivery is how many bytes came over the wire for each event, those of HTTP and of
// event-stream framing included.
func perDelivery(r report) float64 { return r.Deliver.Bytes / r.Deliver.Events }

// resident is the server's memory at the end, with all clients there.
func resident(r report) float64 { return r.Server.Measured / 1e6 }

var compressionRows = []compressionRow{
	{name: "bytes on the wire per delivery", figure: perDelivery, format: "%.0f", target: 0.3},
	{name: "processor µs per delivery", figure: cpu, format: "%.2f", target: 1},
	{name: "resident MB with 9,000 clients", figure: resident, format: "%.1f", target: 1.05},
	{name: "p50, ms", figure: p50, format: "%.1f"},
	{name: "p99, ms", figure: p99, format: "%.1f"},
	{name: "cores that the load client took", figure: client, format: "%.2f"},
}

// printCompression writes what there is of the gateway with compression and without.
func (r results) printCompression(w io.Writer) {
	sizes := r.jsonSizes()
	if len(sizes) == 0 {
		return
	}
	fmt.Fprintln(w, "\n| 9,000 subscribers × 10/s of JSON | plain | gzip | ratio | target | |\n|---|---|---|---|---|---|")
	for _, size := range sizes {
		scenario := jsonPrefix + strconv.Itoa(size)
		for _, row := range compressionRows {
			plain, gzip := r.passed(scenario, "plain", row.figure), r.passed(scenario, "gzip", row.figure)
			fmt.Fprintf(w, "| %d bytes: %s | %s | %s | %s |\n", size, row.name, row.cell(plain), row.cell(gzip), row.verdict(plain, gzip))
		}
	}
}

// jsonPrefix begins the names of the scenarios that are measured with compression and
// without; the size of the events follows, in bytes.
const jsonPrefix = "json-"

func (r results) jsonSizes() (sizes []int) {
	for scenario := range maps.Keys(r) {
		if text, ok := strings.CutPrefix(scenario, jsonPrefix); ok {
			if size, err := strconv.Atoi(text); err == nil {
				sizes = append(sizes, size)
			}
		}
	}
	slices.Sort(sizes)
	return sizes
}

func (c compressionRow) cell(f figures) string { return row{format: c.format}.own(f) }

// verdict writes the ratio, the target, and whether it was met.
func (c compressionRow) verdict(plain, gzip figures) string {
	aim := ""
	if c.target > 0 {
		aim = fmt.Sprintf("at most %g", c.target)
	}
	if plain.none() || gzip.none() {
		return " | " + aim + " | **failed**"
	}
	ratio := gzip.median / plain.median
	word := ""
	switch {
	case c.target == 0:
	case ratio > c.target:
		word = "**miss**"
	default:
		word = "pass"
	}
	return fmt.Sprintf("%.2f | %s | %s", ratio, aim, word)
}
