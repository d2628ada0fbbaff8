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

	"github.com/sse-gateway/sse-gateway/metrics"
)

var update = flag.Bool("update", false, "rewrite the tables of variables and metrics in README.md")

const readmePath = "../../README.md"

// rewrite puts a table between its markers, <!-- name --> and <!-- /name -->.
func rewrite(t *testing.T, name, table string) {
	t.Helper()
	before, rest, ok1 := strings.Cut(readme(t), "<!-- "+name+" -->\n")
	_, after, ok2 := strings.Cut(rest, "<!-- /"+name+" -->")
	if !ok1 || !ok2 {
		t.Fatalf("README.md has no lines <!-- %s --> and <!-- /%s -->", name, name)
	}
	text := before + "<!-- " + name + " -->\n" + table + "<!-- /" + name + " -->" + after
	if err := os.WriteFile(readmePath, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(readmePath)
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

// README's table of variables is what the program reads.
func TestReadmeVariables(t *testing.T) {
	var want [][]string
	for _, v := range variables() {
		want = append(want, []string{v.name, v.kind, v.defaultText(), v.meaning})
	}
	if *update {
		rewrite(t, "variables", markdownTable([]string{"variable", "type", "default", "meaning"}, want))
	}
	compareRows(t, tableRows(readme(t), "SSE_"), want)
}

// README's table of metrics is what a gateway exports, and README speaks of no
// other series.
func TestReadmeMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	metrics.New(registry, metrics.Build{})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var want [][]string
	names := map[string]bool{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "sse_gateway_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		want = append(want, []string{f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp()})
		names[f.GetName()] = true
	}
	if *update {
		rewrite(t, "metrics", markdownTable([]string{"series", "type", "labels", "meaning"}, want))
	}
	text := readme(t)
	compareRows(t, tableRows(text, "sse_gateway_"), want)
	for _, name := range regexp.MustCompile(`\bsse_gateway_[a-z0-9_]+`).FindAllString(text, -1) {
		base := regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, "")
		if !names[name] && !names[base] {
			t.Errorf("README.md speaks of %s, which does not exist", name)
		}
	}
}

// compareRows checks that a table in README.md has exactly these rows.
func compareRows(t *testing.T, got map[string][]string, want [][]string) {
	t.Helper()
	const hint = "go test ./cmd/sse-gateway -run TestReadme -update rewrites the table"
	for _, row := range want {
		if g := got[row[0]]; fmt.Sprint(g) != fmt.Sprint(row) {
			t.Errorf("README.md has for %s\n%q, want\n%q\n%s", row[0], g, row, hint)
		}
		delete(got, row[0])
	}
	for name := range got {
		t.Errorf("README.md describes %s, which does not exist; %s", name, hint)
	}
}
