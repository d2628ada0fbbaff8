package deploy_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sse-gateway/sse-gateway/metrics"
)

// exported tells what a query can find: the names of series, and for those of
// the gateway the values of each label.
type exported map[string]map[string][]string

// exportedSeries are the series of the gateway with those that Prometheus makes
// itself and those of the recording rules.
func exportedSeries(t *testing.T) exported {
	t.Helper()
	reg := prometheus.NewRegistry()
	metrics.New(reg, metrics.Build{Version: "devel", GoVersion: "go"})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	e := exported{"up": nil, "ALERTS": nil}
	for _, f := range families {
		labels := map[string][]string{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
			}
			for _, q := range m.GetSummary().GetQuantile() {
				labels["quantile"] = append(labels["quantile"], formatFloat(q.GetQuantile()))
			}
			for _, b := range m.GetHistogram().GetBucket() {
				labels["le"] = append(labels["le"], formatFloat(b.GetUpperBound()))
			}
		}
		e[f.GetName()] = labels
		if families := f.GetMetric(); len(families) > 0 && families[0].GetHistogram() != nil {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				e[f.GetName()+suffix] = labels
			}
		}
	}
	for _, r := range rules(t, "prometheus/rules/recording.yml") {
		e[r.Record] = nil
	}
	return e
}

// What a query is made of. Strings go first, so that nothing in them counts.
var (
	quoted    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	grouping  = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	braces    = regexp.MustCompile(`\{[^}]*\}`)
	brackets  = regexp.MustCompile(`\[[^\]]*\]`)
	word      = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\b(\s*\()?`)
	selector  = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}`)
	matcher   = regexp.MustCompile(`([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"`)
	operators = []string{"and", "or", "unless", "bool", "offset", "by", "without"}
)

// seriesOf returns the names of series that a query asks for.
func seriesOf(query string) []string {
	q := quoted.ReplaceAllString(query, `""`)
	for _, part := range []*regexp.Regexp{braces, brackets, grouping} {
		q = part.ReplaceAllString(q, " ")
	}
	// Numbers such as 1e9 or 0.5 begin with a digit, which no word does.
	q = regexp.MustCompile(`\b\d[\w.]*`).ReplaceAllString(q, " ")
	var names []string
	for _, w := range word.FindAllString(q, -1) {
		if !strings.HasSuffix(w, "(") && !slices.Contains(operators, w) {
			names = append(names, w)
		}
	}
	return names
}

// requireSeries fails the test for each of missing's findings.
func requireSeries(t *testing.T, e exported, where, query string) {
	t.Helper()
	for _, m := range e.missing(query) {
		t.Errorf("%s: %s", where, m)
	}
}

// missing tells what a query asks for that nothing exports: series, labels, or
// values of labels. Labels that a scrape adds may have any value.
func (e exported) missing(query string) []string {
	var found []string
	names := seriesOf(query)
	if len(names) == 0 {
		found = append(found, "no series in "+query)
	}
	for _, name := range names {
		if _, ok := e[name]; !ok {
			found = append(found, "nothing exports "+name)
		}
	}
	for _, s := range selector.FindAllStringSubmatch(query, -1) {
		labels := e[s[1]]
		if labels == nil {
			continue // not the gateway's own
		}
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			found = append(found, missingLabel(s[1], labels, m[1], m[2], m[3])...)
		}
	}
	return found
}

// missingLabel is missing for one matcher of a selector.
func missingLabel(series string, labels map[string][]string, name, op, value string) []string {
	if name == "job" || name == "instance" {
		return nil
	}
	values, ok := labels[name]
	if !ok {
		return []string{series + " has no label " + name}
	}
	wanted := []string{value}
	if strings.Contains(op, "~") {
		wanted = strings.Split(value, "|")
	}
	var found []string
	for _, w := range wanted {
		if !slices.Contains(values, w) {
			found = append(found, fmt.Sprintf("label %s of %s is never %q, but one of %q", name, series, w, values))
		}
	}
	return found
}

func TestSeriesOf(t *testing.T) {
	for query, want := range map[string][]string{
		`sum by (job, le) (rate(a_bucket{le="0.25",x=~"b|c"}[5m])) > 14.4 * 0.01`: {"a_bucket"},
		`job:a:sum{job="$job"} / (b > 0) and on (job) c offset 5m`:                {"job:a:sum", "b", "c"},
		`count(ALERTS{alertstate="firing"}) or vector(0)`:                         {"ALERTS"},
		`histogram_quantile(0.99, sum by (le) (rate(d[$__rate_interval])))`:       {"d"},
		`1 - e unless f == 1e9`: {"e", "f"},
	} {
		if got := seriesOf(query); !slices.Equal(got, want) {
			t.Errorf("seriesOf(%s) = %v, want %v", query, got, want)
		}
	}
}

func TestMissing(t *testing.T) {
	e := exported{"a_total": {"reason": {"x", "y"}}, "up": nil}
	for query, fails := range map[string]bool{
		`rate(a_total{reason="x",job="$job"}[5m])`: false,
		`a_total{reason=~"x|y"} + up{job="j"}`:     false,
		`b_total`:                                  true,
		`a_total{reason="z"}`:                      true,
		`a_total{reason=~"x|z"}`:                   true,
		`a_total{cause="x"}`:                       true,
		`vector(1)`:                                true,
	} {
		if found := e.missing(query); (len(found) > 0) != fails {
			t.Errorf("%s: found %q, want a finding: %v", query, found, fails)
		}
	}
}
