package report

import (
	"fmt"
	"strings"
)

const (
	// fullShare is the share of a machine's processor from which on it, not the
	// server, sets the pace.
	fullShare = 0.9
	// lateMs is how late events may be sent, p99, before the publisher counts as
	// what limited a run.
	lateMs = 50
	// littleMemory is what a machine has left when memory is short, in bytes.
	littleMemory = 512 << 20
)

// outcome says in words whether the run held and what limited it.
func (r *Report) outcome() string {
	did := fmt.Sprintf("%d streams", r.Connect.Connected)
	if p := r.Publish; p != nil {
		did += fmt.Sprintf(", %.0f events/s and %.0f deliveries/s", p.PerSecond, r.Deliver.PerSecond)
	}
	if r.Storm != nil && r.Storm.Seconds > 0 {
		did += fmt.Sprintf(", all back with everything after %.2f s", r.Storm.Seconds)
	} else if r.Latency.Count > 0 {
		did += fmt.Sprintf(", p99 %s", ms(r.Latency.P99Ms))
	}
	verdict := "Held"
	switch {
	case !r.Pass:
		verdict, did = "Not held", did+"; "+strings.Join(r.Failures, "; ")
	case r.Integrity.Checked:
		did += ", nothing lost, late, repeated or out of order"
	}
	return fmt.Sprintf("%s: %s. %s", verdict, did, r.limit())
}

// faultLimits are texts of connection errors and the limit that each stands for.
var faultLimits = []struct{ text, limit string }{
	{"too many open files", "the descriptors of this process (ulimit -n; or more --processes)"},
	{"cannot assign requested address", "the ports of this machine (more --source-ips, or a wider net.ipv4.ip_local_port_range)"},
	{"no buffer space available", "the memory of the kernel's network (net.ipv4.tcp_mem)"},
	{"cannot allocate memory", "memory"},
}

// limit says what of the machine and of this tool was used up.
func (r *Report) limit() string {
	var limits []string
	for _, l := range faultLimits {
		for fault := range r.Integrity.Faults {
			if strings.Contains(fault, l.text) {
				limits = append(limits, l.limit)
			}
		}
	}
	if m := r.Machine; m != nil && m.Busy >= fullShare {
		text := fmt.Sprintf("the processor (%d cores, %.0f %% busy, %.2f cores of it this load client", m.Cores, 100*m.Busy, r.Client.Cores)
		if s := r.Server; s != nil && r.Deliver.Seconds > 0 {
			text += fmt.Sprintf(", %.2f the server", (s.UserSeconds+s.SystemSeconds)/r.Deliver.Seconds)
		}
		limits = append(limits, text+")")
	}
	if m := r.Machine; m != nil && m.AvailableBytes < littleMemory {
		limits = append(limits, fmt.Sprintf("memory (%s left)", size(float64(m.AvailableBytes))))
	}
	if p := r.Publish; p != nil && r.Storm == nil && p.LateP99Ms > lateMs {
		limits = append(limits, fmt.Sprintf("publishing, which was late by p99 %s", ms(p.LateP99Ms)))
	}
	if len(limits) == 0 {
		return "Nothing that is watched was at its limit."
	}
	return "Limited by " + strings.Join(limits, " and ") + "."
}
