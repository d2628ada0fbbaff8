package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// report is what the table needs of a report of sse-bench; see its Report.
type report struct {
	Connect struct {
		Connected int     `json:"connected"`
		Seconds   float64 `json:"seconds"`
	} `json:"connect"`
	Deliver struct {
		PerSecond float64 `json:"per_second"`
		Events    float64 `json:"events"`
		Bytes     float64 `json:"bytes"`
	} `json:"deliver"`
	Latency struct {
		P50 float64 `json:"p50_ms"`
		P99 float64 `json:"p99_ms"`
	} `json:"latency"`
	Storm struct {
		Seconds float64 `json:"seconds"`
	} `json:"storm"`
	Server struct {
		PerDelivery float64 `json:"cpu_us_per_delivery"`
		Before      float64 `json:"rss_before_bytes"`
		Connected   float64 `json:"rss_connected_bytes"`
		PerConn     float64 `json:"rss_per_connection_bytes"`
		PeakPerConn float64 `json:"rss_peak_per_connection_bytes"`
		Measured    float64 `json:"rss_measured_bytes"`
		After       float64 `json:"rss_after_bytes"`
	} `json:"server"`
	Client struct {
		Cores float64 `json:"cores"`
	} `json:"client"`
	Pass       bool     `json:"pass"`
	Failures   []string `json:"failures"`
	Unfinished bool     `json:"unfinished"` // by run.sh: sse-bench left no report

	reads float64 // XRANGE commands that Redis ran
}

// results are the reports by scenario and server, in the order of the rounds.
type results map[string]map[string][]report

// load reads the files SCENARIO.SERVER.ROUND.json and, for what Redis had to
// do, SCENARIO.SERVER.ROUND.reads of a directory.
func load(dir string) (results, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	all := results{}
	slices.Sort(files)
	for _, file := range files {
		parts := strings.Split(filepath.Base(file), ".")
		if len(parts) != 4 {
			return nil, fmt.Errorf("%s: the name is not SCENARIO.SERVER.ROUND.json", file)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var r report
		if err := json.Unmarshal(b, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		reads, err := os.ReadFile(strings.TrimSuffix(file, ".json") + ".reads")
		if err != nil {
			return nil, err
		}
		if r.reads, err = strconv.ParseFloat(strings.TrimSpace(string(reads)), 64); err != nil {
			return nil, err
		}
		scenario, server := parts[0], parts[1]
		if all[scenario] == nil {
			all[scenario] = map[string][]report{}
		}
		all[scenario][server] = append(all[scenario][server], r)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no reports", dir)
	}
	return all, nil
}

// figures sum up one figure of a server over the rounds.
type figures struct {
	median, least, most float64 // of the rounds that count
	counted             int     // how many those are
	rounds, failed      int     // all of them, and those in which events were wrong
}

// none tells that no round was right.
func (f figures) none() bool { return f.failed == f.rounds }

// passed sums up the rounds that sse-bench passed. What a run takes that loses
// events, or that has not come to its end, is no result.
func (r results) passed(scenario, server string, figure func(report) float64) figures {
	var values []float64
	rounds := r[scenario][server]
	for _, one := range rounds {
		if one.Pass {
			values = append(values, figure(one))
		}
	}
	return sum(values, len(rounds), len(rounds)-len(values))
}

// compared sums up the rounds of a server that is measured for comparison: those
// that passed or, if none did, all of them, which is to be marked.
func (r results) compared(scenario, server string, figure func(report) float64) figures {
	f := r.passed(scenario, server, figure)
	if !f.none() {
		return f
	}
	var values []float64
	for _, one := range r[scenario][server] {
		if !one.Unfinished {
			values = append(values, figure(one))
		}
	}
	return sum(values, f.rounds, f.failed)
}

func sum(values []float64, rounds, failed int) figures {
	f := figures{counted: len(values), rounds: rounds, failed: failed}
	if n := len(values); n > 0 {
		slices.Sort(values)
		f.median, f.least, f.most = (values[(n-1)/2]+values[n/2])/2, values[0], values[n-1]
	}
	return f
}

// failures lists what sse-bench found wrong.
func (r results) failures() []string {
	var all []string
	for _, scenario := range slices.Sorted(maps.Keys(r)) {
		for _, server := range slices.Sorted(maps.Keys(r[scenario])) {
			for i, one := range r[scenario][server] {
				if !one.Pass {
					all = append(all, fmt.Sprintf("%s, %s, round %d: %s", scenario, server, i+1, strings.Join(one.Failures, "; ")))
				}
			}
		}
	}
	return all
}
