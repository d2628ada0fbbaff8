package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/internal/config"
	"github.com/sse-gateway/sse-gateway/metrics"
)

var update = flag.Bool("update", false, "rewrite the tables of variables in CONFIG.md and of metrics in METRICS.md")

// The pages that have tables made from the code, and the one that has the tour.
const (
	configPage  = "CONFIG.md"
	metricsPage = "../../metrics/METRICS.md"
	readme      = "../../README.md"
)

// rewrite puts a table between its markers, <!-- name --> and <!-- /name -->.
func rewrite(t *testing.T, path, name, table string) {
	t.Helper()
	before, rest, ok1 := strings.Cut(readPage(t, path), "<!-- "+name+" -->\n")
	_, after, ok2 := strings.Cut(rest, "<!-- /"+name+" -->")
	if !ok1 || !ok2 {
		t.Fatalf("%s has no lines <!-- %s --> and <!-- /%s -->", path, name, name)
	}
	text := before + "<!-- " + name + " -->\n" + table + "<!-- /" + name + " -->" + after
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readPage(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// markdownTable is a table whose cells show their text as it is.
func markdownTable(head []string, rows [][]string) string {
	escape := strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`)
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, row := range rows {
		cells := slices.Clone(row)
		for i, c := range cells {
			cells[i] = escape.Replace(c)
		}
		cells[0] = "`" + row[0] + "`"
		line(cells)
	}
	return b.String()
}

// tableRows returns the cells of the tables' rows whose first cell is code that
// begins with prefix.
func tableRows(text, prefix string) map[string][]string {
	unescape := strings.NewReplacer(`\|`, "|", `\*`, "*", `\<`, "<", "`", "")
	cell := regexp.MustCompile(`((?:\\\||[^|])*)\|`)
	rows := map[string][]string{}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "| `"+prefix) {
			continue
		}
		var cells []string
		for _, m := range cell.FindAllStringSubmatch(line[1:], -1) {
			cells = append(cells, unescape.Replace(strings.TrimSpace(m[1])))
		}
		rows[cells[0]] = cells
	}
	return rows
}

// CONFIG.md's table of variables is what the program reads.
func TestReadmeVariables(t *testing.T) {
	var want [][]string
	for _, v := range config.Variables() {
		want = append(want, []string{v.Name, v.Kind, v.Default(), v.Meaning})
	}
	if *update {
		rewrite(t, configPage, "variables", markdownTable([]string{"variable", "type", "default", "meaning"}, want))
	}
	compareRows(t, configPage, tableRows(readPage(t, configPage), "SSE_"), want)
}

// METRICS.md's table of metrics is what a gateway exports, and METRICS.md explains
// every value of a label.
func TestReadmeMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	metrics.New(registry, metrics.Build{})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	text := readPage(t, metricsPage)
	var want [][]string
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "sse_gateway_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		want = append(want, []string{f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp()})
		for _, value := range labelValues(f) {
			if !strings.Contains(text, "`"+value+"`") {
				t.Errorf("%s does not explain %q, a label value of %s", metricsPage, value, f.GetName())
			}
		}
	}
	if *update {
		rewrite(t, metricsPage, "metrics", markdownTable([]string{"series", "type", "labels", "meaning"}, want))
	}
	compareRows(t, metricsPage, tableRows(readPage(t, metricsPage), "sse_gateway_"), want)
}

// labelValues returns those of a family's series. The build's are no categories.
func labelValues(f *dto.MetricFamily) []string {
	if f.GetName() == "sse_gateway_build_info" {
		return nil
	}
	var values []string
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			values = append(values, l.GetValue())
		}
	}
	return values
}

// compareRows checks that a page's table has exactly these rows.
func compareRows(t *testing.T, page string, got map[string][]string, want [][]string) {
	t.Helper()
	const hint = "go test ./cmd/sse-gateway -run TestReadme -update rewrites the table"
	for _, row := range want {
		if g := got[row[0]]; fmt.Sprint(g) != fmt.Sprint(row) {
			t.Errorf("%s has for %s\n%q, want\n%q\n%s", page, row[0], g, row, hint)
		}
		delete(got, row[0])
	}
	for name := range got {
		t.Errorf("%s describes %s, which does not exist; %s", page, name, hint)
	}
}

// requireTourOfPage checks that the first step of README's tour shows what it
// promises: the page begins with the channel that it names.
func requireTourOfPage(t *testing.T, page string) {
	t.Helper()
	step := regexp.MustCompile("(?m)^1\\. `make dev`.*connected to the channel `(\\w+)`").FindStringSubmatch(readPage(t, readme))
	if step == nil {
		t.Fatal("the tour does not say what the page shows")
	}
	if !strings.Contains(page, `["`+step[1]+`"]`) || step[1] != demoChannel {
		t.Errorf("the page does not begin with the channel %s", step[1])
	}
}
