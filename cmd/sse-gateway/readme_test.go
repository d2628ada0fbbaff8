package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

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

// README's table of metrics is what a gateway exports, README speaks of no other
// series, and it explains every value of a label.
func TestReadmeMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	metrics.New(registry, metrics.Build{})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	text := readme(t)
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
		for _, value := range labelValues(f) {
			if !strings.Contains(text, "`"+value+"`") {
				t.Errorf("README.md does not explain %q, a label value of %s", value, f.GetName())
			}
		}
	}
	if *update {
		rewrite(t, "metrics", markdownTable([]string{"series", "type", "labels", "meaning"}, want))
	}
	text = readme(t)
	compareRows(t, tableRows(text, "sse_gateway_"), want)
	for _, name := range regexp.MustCompile(`\bsse_gateway_[a-z0-9_]+`).FindAllString(text, -1) {
		base := regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, "")
		if !names[name] && !names[base] {
			t.Errorf("README.md speaks of %s, which does not exist", name)
		}
	}
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

// A row with a cell more than its table's head loses that cell where it is shown.
func TestReadmeTables(t *testing.T) {
	code := regexp.MustCompile("`[^`]*`")
	cells := func(line string) int { return strings.Count(code.ReplaceAllString(line, ""), "|") }
	head, rows := 0, 0
	for line := range strings.Lines(readme(t)) {
		switch {
		case !strings.HasPrefix(line, "|"):
			head = 0
		case head == 0:
			head = cells(line)
		case cells(strings.ReplaceAll(line, `\|`, "")) != head:
			t.Errorf("%d cells, the head has %d: %s", cells(line)-1, head-1, line)
		default:
			rows++
		}
	}
	if rows < 100 {
		t.Errorf("only %d rows: the test looks in the wrong place", rows)
	}
}

// What README calls a proof is a test that there is.
func TestReadmeNamesTestsThatExist(t *testing.T) {
	defined := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`).FindAllSubmatch(source, -1) {
			defined[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)`").FindAllStringSubmatch(readme(t), -1)
	for _, m := range named {
		if !defined[m[1]] {
			t.Errorf("README.md names %s, which does not exist", m[1])
		}
	}
	if len(named) < 50 {
		t.Errorf("only %d names: the test looks in the wrong place", len(named))
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

// requireTourOfPage checks that the first step of README's tour shows what it
// promises: the page begins with the channel that it names.
func requireTourOfPage(t *testing.T, page string) {
	t.Helper()
	step := regexp.MustCompile("(?m)^1\\. `make dev`.*connected to the channel `(\\w+)`").FindStringSubmatch(readme(t))
	if step == nil {
		t.Fatal("the tour does not say what the page shows")
	}
	if !strings.Contains(page, `["`+step[1]+`"]`) || step[1] != demoChannel {
		t.Errorf("the page does not begin with the channel %s", step[1])
	}
}
