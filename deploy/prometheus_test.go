package deploy_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// formatFloat writes a number as it stands in a label.
func formatFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func promtool(t *testing.T) string { return redistest.Command(t, "promtool", "prometheus") }

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v, %v", pattern, paths, err)
	}
	return paths
}

func TestPrometheusConfig(t *testing.T) {
	check(t, nil, promtool(t), "check", "config", "prometheus/prometheus.yml")
	check(t, nil, promtool(t), append([]string{"check", "rules"}, glob(t, "prometheus/rules/*.yml")...)...)
}

func TestPrometheusRules(t *testing.T) {
	check(t, nil, promtool(t), append([]string{"test", "rules"}, glob(t, "prometheus/tests/*.yml")...)...)
}

// The scrape configuration names services of docker-compose.yml, on a network
// that Prometheus is on, and the job name that the alerts rely on.
func TestPrometheusScrapesWhatRuns(t *testing.T) {
	var file struct {
		ScrapeConfigs []struct {
			JobName       string `yaml:"job_name"`
			StaticConfigs []struct {
				Targets []string `yaml:"targets"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	decode(t, "prometheus/prometheus.yml", &file)
	c := compose(t)
	var gateways []string
	for _, job := range file.ScrapeConfigs {
		for _, target := range job.StaticConfigs[0].Targets {
			host, _, _ := strings.Cut(target, ":")
			if job.JobName == "sse-gateway" {
				gateways = append(gateways, host)
			}
			if host == "localhost" {
				continue
			}
			if !slices.ContainsFunc(c.Services[host].Networks, func(n string) bool {
				return slices.Contains(c.Services["prometheus"].Networks, n)
			}) {
				t.Errorf("%s is not a service that Prometheus can reach", target)
			}
		}
	}
	if !slices.Equal(gateways, c.gateways()) {
		t.Errorf("job sse-gateway scrapes %v, docker-compose.yml has %v", gateways, c.gateways())
	}
}

func TestRulesAskForWhatIsExported(t *testing.T) {
	e := exportedSeries(t)
	for _, path := range glob(t, "prometheus/rules/*.yml") {
		for _, r := range rules(t, path) {
			requireSeries(t, e, r.Alert+r.Record, r.Expr)
		}
	}
}

// wantAlerts are the conditions that somebody has to hear of.
var wantAlerts = []string{
	"SSEGatewayInstanceDown", "SSEGatewayTailDown", "SSEGatewayTailLag", "SSEGatewayGaps", "SSEGatewaySweepFinds",
	"SSEGatewayRefusals", "SSEGatewayConnectionsNearLimit", "SSEGatewaySlowClientsCut", "SSEGatewayDrainOverrun",
	"SSEGatewayLatencyFastBurn", "SSEGatewayLatencySlowBurn",
}

func TestAlertsSayWhatToDo(t *testing.T) {
	var names []string
	for _, r := range rules(t, "prometheus/rules/alerts.yml") {
		names = append(names, r.Alert)
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s has no summary or no description", r.Alert)
		}
		if u := r.Annotations["runbook_url"]; !strings.HasPrefix(u, "https://") || !strings.HasSuffix(u, "/deploy/OPERATIONS.md#alert-"+strings.ToLower(r.Alert)) {
			t.Errorf("%s: runbook_url %q does not lead to its heading", r.Alert, u)
		}
		if _, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "#"); !slices.Contains(anchors(t, "OPERATIONS.md"), anchor) {
			t.Errorf("%s: OPERATIONS.md has no heading #%s", r.Alert, anchor)
		}
		// A series named in a text is one somebody will look for.
		for _, name := range regexp.MustCompile(`\b(sse_gateway|job|job_reason|instance)[:_]\w[\w:]*`).FindAllString(r.Annotations["description"], -1) {
			if _, ok := exportedSeries(t)[name]; !ok {
				t.Errorf("%s: the description names %s, which nothing exports", r.Alert, name)
			}
		}
	}
	if !slices.Equal(names, wantAlerts) {
		t.Errorf("alerts are %v, want %v", names, wantAlerts)
	}
}

// Each alert has a case in which it fires and one in which it does not.
func TestAlertsAreTestedBothWays(t *testing.T) {
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, path := range glob(t, "prometheus/tests/*.yml") {
		var file struct {
			Tests []struct {
				Alerts []struct {
					Name string           `yaml:"alertname"`
					Want []map[string]any `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			} `yaml:"tests"`
		}
		decode(t, path, &file)
		for _, test := range file.Tests {
			for _, a := range test.Alerts {
				if len(a.Want) > 0 {
					fires[a.Name] = true
				} else {
					silent[a.Name] = true
				}
			}
		}
	}
	for _, name := range wantAlerts {
		if !fires[name] || !silent[name] {
			t.Errorf("%s: tested to fire %v, to be silent %v", name, fires[name], silent[name])
		}
	}
}
