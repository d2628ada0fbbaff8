package deploy_test

import (
	"testing"
	"time"
)

// drainReserve is how long a gateway may take beyond SSE_DRAIN_DELAY and
// SSE_DRAIN_WINDOW.
const drainReserve = 5 * time.Second

func duration(t *testing.T, where, value string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(value)
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	return d
}

// drainTime is how long a gateway with these variables may take to stop.
func drainTime(t *testing.T, where string, set map[string]string) time.Duration {
	t.Helper()
	return duration(t, where, set["SSE_DRAIN_DELAY"]) + duration(t, where, set["SSE_DRAIN_WINDOW"]) + drainReserve
}

// requireTimeToDrain checks that whoever stops a gateway waits until its
// streams have ended, and that the alert waits as long.
func requireTimeToDrain(t *testing.T, where string, set map[string]string, grace time.Duration) {
	t.Helper()
	drain := drainTime(t, where, set)
	if grace <= drain {
		t.Errorf("%s: stopped after %v, but draining may take %v", where, grace, drain)
	}
	if alert := drainAlertAfter(t); alert <= drain {
		t.Errorf("%s: the alert on draining fires after %v, but draining may take %v", where, alert, drain)
	}
}

// drainAlertAfter is the "for" of the alert SSEGatewayDrainOverrun.
func drainAlertAfter(t *testing.T) time.Duration {
	t.Helper()
	for _, r := range rules(t, "prometheus/rules/alerts.yml") {
		if r.Alert == "SSEGatewayDrainOverrun" {
			return duration(t, r.Alert, r.For)
		}
	}
	t.Fatal("there is no alert SSEGatewayDrainOverrun")
	return 0
}

// rule is an alerting or a recording rule of Prometheus.
type rule struct {
	Alert       string            `yaml:"alert"`
	Record      string            `yaml:"record"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// rules returns the rules of a file in order.
func rules(t *testing.T, path string) []rule {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	decode(t, path, &file)
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rules", path)
	}
	return all
}
