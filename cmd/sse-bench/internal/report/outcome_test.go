package report

import (
	"strings"
	"testing"
)

// A run in which nothing was published, however that came about, has not shown
// that nothing is lost.
func TestNothingPublishedIsNoProof(t *testing.T) {
	for _, tt := range []struct {
		publish *PublishReport
		pass    bool
	}{{nil, true}, {&PublishReport{Events: 1}, true}, {&PublishReport{}, false}} {
		r := &Report{Publish: tt.publish}
		if r.Judge(false); r.Pass != tt.pass {
			t.Errorf("%+v: pass %v, %q", tt.publish, r.Pass, r.Failures)
		}
	}
}

func TestOutcomeNamesTheLimit(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Report)
		want   []string
	}{
		{"held", func(*Report) {}, []string{"Held: 10 streams", "Nothing that is watched"}},
		{"lost", func(r *Report) { r.Integrity.Lost = 2 }, []string{"Not held: ", "2 events lost"}},
		{"processor", func(r *Report) { r.Machine.Busy, r.Client.Cores = 0.97, 1.5 }, []string{"Limited by the processor (2 cores, 97 % busy, 1.50 cores"}},
		{"memory", func(r *Report) { r.Machine.AvailableBytes = 1 << 20 }, []string{"Limited by memory (1.0 MiB left)"}},
		{"publisher", func(r *Report) { r.Publish = &PublishReport{Events: 1, LateP99Ms: 80} }, []string{"Limited by publishing, which was late by p99 80 ms"}},
		{"files and ports", func(r *Report) {
			r.Integrity.Faults = map[string]int64{"connect: too many open files": 1, "connect: cannot assign requested address": 1}
		}, []string{"ulimit -n", "ip_local_port_range"}},
	} {
		r := &Report{Subscribers: 10, Connect: ConnectReport{Connected: 10}, Machine: &MachineReport{Cores: 2, AvailableBytes: 1 << 34}}
		tt.change(r)
		r.Judge(false)
		for _, want := range tt.want {
			if !strings.Contains(r.Outcome, want) {
				t.Errorf("%s: %q lacks %q", tt.name, r.Outcome, want)
			}
		}
	}
}
