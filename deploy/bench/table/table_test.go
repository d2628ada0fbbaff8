package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTable(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"connect.gateway.1.json": `{"connect":{"seconds":0.5},"server":{"rss_peak_per_connection_bytes":1900},"pass":true}`, "connect.gateway.1.reads": "0\n",
		"connect.gateway.2.json": `{"connect":{"seconds":0.9},"server":{"rss_peak_per_connection_bytes":1900},"pass":true}`, "connect.gateway.2.reads": "0\n",
		"connect.gateway.3.json": `{"connect":{"seconds":0.7},"server":{"rss_peak_per_connection_bytes":1900},"pass":true}`, "connect.gateway.3.reads": "0\n",
		"connect.nchan.1.json": `{"connect":{"seconds":0.35},"server":{"rss_peak_per_connection_bytes":10000},"pass":true}`, "connect.nchan.1.reads": "0\n",
		"broadcast.gateway.1.json":  `{"latency":{"p50_ms":40,"p99_ms":90},"server":{"cpu_us_per_delivery":7},"pass":true}`,
		"broadcast.gateway.1.reads": "1\n",
		"broadcast.nchan.1.json":    `{"latency":{"p50_ms":40,"p99_ms":80},"server":{"cpu_us_per_delivery":8},"pass":true}`,
		"broadcast.nchan.1.reads":   "0\n",
		"storm.gateway.1.json":      `{"storm":{"seconds":1.5},"pass":true}`, "storm.gateway.1.reads": "17\n",
	})
	var out strings.Builder
	if err := run(dir, &out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"| 9,000 connects, s | 0.70 (0.50–0.90) | 0.35 | 2.00 | nchan's | **miss** |",
		"| … peak resident kB per connection meanwhile | 1.90 | 10.00 | 0.19 | at most 2 | pass |",
		"| … p99, ms | 90.0 | 80.0 | 1.12 | nchan's | **miss** |",
		"| 9,000 subscribers × 10/s, processor µs per delivery | 7.00 | 8.00 | 0.88 | nchan's | pass |",
		"| 5,000 come back to a cold server, 100 missed each, s | 1.50 |  |  | at most 1 | **miss** |",
		"| … XRANGE commands that Redis ran | 17 |  |  |  |  |",
	} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("the table has no line %q:\n%s", line, out.String())
		}
	}
	if strings.Contains(out.String(), "idle") {
		t.Errorf("the table has a row for what was not measured:\n%s", out.String())
	}
}

// What a run that went wrong measured meets no target: a storm that lost events
// has no time, which would be the fastest of all.
func TestFailedRuns(t *testing.T) {
	const failed = `"pass":false,"failures":["3 events lost"]`
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"storm.gateway.1.json": `{"storm":{"seconds":0},` + failed + `}`, "storm.gateway.1.reads": "17\n",
		"storm.nchan.1.json": `{"storm":{"seconds":5},"pass":true}`, "storm.nchan.1.reads": "0\n",
		"connect.gateway.1.json": `{"connect":{"seconds":0},` + failed + `}`, "connect.gateway.1.reads": "0\n",
		"connect.gateway.2.json": `{"connect":{"seconds":0.7},"pass":true}`, "connect.gateway.2.reads": "0\n",
		"connect.gateway.3.json": `{"connect":{"seconds":0.5},"pass":true}`, "connect.gateway.3.reads": "0\n",
		"connect.nchan.1.json": `{"connect":{"seconds":0.1},` + failed + `}`, "connect.nchan.1.reads": "0\n",
		"connect.nchan.2.json": `{"connect":{"seconds":0.3},"pass":true}`, "connect.nchan.2.reads": "0\n",
		"broadcast.gateway.1.json": `{"latency":{"p50_ms":40,"p99_ms":90},"pass":true}`, "broadcast.gateway.1.reads": "1\n",
		"broadcast.nchan.1.json": `{"latency":{"p50_ms":50,"p99_ms":180},` + failed + `}`, "broadcast.nchan.1.reads": "0\n",
		"many.gateway.1.json": `{"latency":{"p50_ms":1,"p99_ms":2},` + failed + `}`, "many.gateway.1.reads": "1\n",
		"many.nchan.1.json": `{"latency":{"p50_ms":1,"p99_ms":3},` + failed + `}`, "many.nchan.1.reads": "0\n",
		"many.nchan.2.json": `{"unfinished":true,` + failed + `}`, "many.nchan.2.reads": "0\n",
		"hot-0.gateway.1.json": `{"unfinished":true,` + failed + `}`, "hot-0.gateway.1.reads": "0\n",
		"idle-one-18000.gateway.1.json": `{"server":{"rss_per_connection_bytes":1000},"pass":true}`, "idle-one-18000.gateway.1.reads": "0\n",
		"idle-one-18000.nchan.1.json": `{"unfinished":true,` + failed + `}`, "idle-one-18000.nchan.1.reads": "0\n",
	})
	var out strings.Builder
	if err := run(dir, &out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"| 5,000 come back to a cold server, 100 missed each, s | **failed** | 5.00 |  | at most 1 | **failed** |",
		"| … XRANGE commands that Redis ran | **failed** | 0 |  |  | **failed** |",
		"| 9,000 connects, s | 0.60 (0.50–0.70) | 0.30 | 2.00 | nchan's | **miss**, **1 of 3 rounds failed** |",
		"| … p50, ms | 40.0 | 50.0 † | 0.80 † |  |  |",
		"| … p99, ms | 90.0 | 180.0 † | 0.50 † | nchan's | nchan failed |",
		"| … p99, ms | **failed** | 3.00 † |  | nchan's | **failed** |",
		"| 500 × 2,000/s, flush interval 0, deliveries/s | **failed** |  |  |  | **failed** |",
		"| 18,000 idle on one channel, kB each | 1.00 | **failed** |  | at most 1.5 | pass |",
		"- storm, gateway, round 1: 3 events lost",
		"- connect, nchan, round 1: 3 events lost",
	} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("the table has no line %q:\n%s", line, out.String())
		}
	}
}

func TestReturned(t *testing.T) {
	var r report
	r.Server.Before, r.Server.Connected, r.Server.After = 10, 50, 20
	if got := returned(r); got != 75 {
		t.Errorf("got %v %%, want 75", got)
	}
}

func TestNoReports(t *testing.T) {
	if err := run(t.TempDir(), new(strings.Builder)); err == nil {
		t.Error("no error for a directory without reports")
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"x.json": "{}"})
	if err := run(dir, new(strings.Builder)); err == nil {
		t.Error("no error for a name that says nothing")
	}
}

// A gap is a fault in these runs, which trim nothing and lose no stream.
func TestScriptsAllowNoGaps(t *testing.T) {
	for _, name := range []string{"run.sh", "soak.sh", "million.sh"} {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, `--gateway "`) {
				found = true
				if !strings.Contains(line, " --no-gaps") {
					t.Errorf("%s: %s", name, line)
				}
			}
		}
		if !found {
			t.Errorf("%s does not run sse-bench against a gateway", name)
		}
	}
}

// With compression and without stand beside each other, and the targets are of the ratio.
func TestCompressionTable(t *testing.T) {
	const failed = `{"pass":false,"failures":["3 events lost"]}`
	dir := t.TempDir()
	files := map[string]string{
		"json-2000.plain.1.json": `{"deliver":{"events":10,"bytes":20500},"server":{"cpu_us_per_delivery":12,"rss_measured_bytes":50e6},"pass":true}`,
		"json-2000.gzip.1.json":  `{"deliver":{"events":10,"bytes":7175},"server":{"cpu_us_per_delivery":9,"rss_measured_bytes":51e6},"pass":true}`,
		"json-300.plain.1.json":  failed,
		"json-300.gzip.1.json":   `{"deliver":{"events":10,"bytes":3000},"pass":true}`,
	}
	for name := range maps.Clone(files) {
		files[strings.TrimSuffix(name, "json")+"reads"] = "0\n"
	}
	write(t, dir, files)
	var out strings.Builder
	if err := run(dir, &out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"| 2000 bytes: bytes on the wire per delivery | 2050 | 718 | 0.35 | at most 0.3 | **miss** |",
		"| 2000 bytes: processor µs per delivery | 12.00 | 9.00 | 0.75 | at most 1 | pass |",
		"| 2000 bytes: resident MB with 9,000 clients | 50.0 | 51.0 | 1.02 | at most 1.05 | pass |",
		"| 300 bytes: bytes on the wire per delivery | **failed** | 300 |  | at most 0.3 | **failed** |",
		"- json-300, plain, round 1: 3 events lost",
	} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("the table has no line %q:\n%s", line, out.String())
		}
	}
	if strings.Index(out.String(), "| 300 bytes") > strings.Index(out.String(), "| 2000 bytes") {
		t.Error("the sizes are not in order")
	}
}
