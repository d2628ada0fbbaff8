package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// table prints a report for people: name, value, remarks, aligned.
type table struct{ w *tabwriter.Writer }

func (t table) row(name, format string, args ...any) {
	fmt.Fprintf(t.w, "%s\t%s\n", name, fmt.Sprintf(format, args...))
}

// Table writes the report as an aligned table, and the outcome below it.
func (r *Report) Table(w io.Writer) error {
	t := table{tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)}
	if r.Scenario != "" {
		t.row("scenario", "%s", r.Scenario)
	}
	t.row("subscribers", "%d on %d channels of %s", r.Subscribers, r.Channels, strings.Join(r.Addresses, ", "))
	t.row("connected", "%d in %.3f s (%.0f/s)", r.Connect.Connected, r.Connect.Seconds, r.Connect.PerSecond)
	if p := r.Publish; p != nil {
		t.row("published", "%d in %.2f s (%.0f/s), late p99 %s max %s, errors %d",
			p.Events, p.Seconds, p.PerSecond, ms(p.LateP99Ms), ms(p.LateMaxMs), p.Errors)
	}
	t.row("delivered", "%d in %.2f s (%.0f/s), %d foreign, %s", r.Deliver.Events, r.Deliver.Seconds,
		r.Deliver.PerSecond, r.Deliver.Foreign, size(float64(r.Deliver.Bytes)))
	t.latency("latency", &r.Latency)
	if r.Live != nil {
		t.latency("latency, live", r.Live)
	}
	if s := r.Storm; s != nil {
		t.storm(s)
	}
	t.integrity(&r.Integrity)
	if s := r.Server; s != nil {
		t.server(s)
	}
	t.row("load client cpu", "%.2f s (%.2f cores)", r.Client.CPUSeconds, r.Client.Cores)
	if m := r.Machine; m != nil {
		t.row("machine", "%d cores, %.0f %% busy, %s available", m.Cores, 100*m.Busy, size(float64(m.AvailableBytes)))
	}
	for _, e := range r.Integrity.Examples {
		t.row("", "%s", e)
	}
	if err := t.w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", r.Outcome)
	return err
}

func (t table) latency(name string, l *LatencyReport) {
	if l.Count == 0 {
		return
	}
	t.row(name, "p50 %s   p99 %s   p99.9 %s   max %s   (%d)", ms(l.P50Ms), ms(l.P99Ms), ms(l.P999Ms), ms(l.MaxMs), l.Count)
}

func (t table) storm(s *StormReport) {
	done := "not everybody got everything"
	if s.Seconds > 0 {
		done = fmt.Sprintf("everybody had everything after %.3f s", s.Seconds)
	}
	t.row("storm", "%d missed per channel; all ready after %.3f s, %s", s.Missed, s.ReadySeconds, done)
}

func (t table) integrity(i *IntegrityReport) {
	if i.Checked {
		t.row("lost", "%d", i.Lost)
		t.late(i)
		t.row("repeated", "%d", i.Repeated)
		t.row("out of order", "%d", i.OutOfOrder)
		t.row("gapped", "%d", i.Gapped)
	}
	t.row("gaps", "%s", counts(i.Gaps))
	t.row("reconnects", "%d", i.Reconnects)
	if i.Ends > 0 || i.Ended > 0 {
		t.row("ends of channels", "%d told, %d subscribers answered 204", i.Ends, i.Ended)
	}
	t.row("refused", "%s", counts(i.Refusals))
	t.row("connection faults", "%s", counts(i.Faults))
}

func (t table) late(i *IntegrityReport) {
	if i.Late == 0 {
		t.row("late", "0")
		return
	}
	t.row("late", "%d, at most %s after they were due", i.Late, ms(i.LateMaxMs))
}

func (t table) server(s *ServerReport) {
	per := ""
	if s.PerDeliveryUs > 0 {
		per = fmt.Sprintf(", %.2f µs per delivery", s.PerDeliveryUs)
	}
	t.row("server cpu", "%.2f s user, %.2f s system%s; %.1f µs per connect", s.UserSeconds, s.SystemSeconds, per, s.PerConnectUs)
	memory := fmt.Sprintf("%s before, %s connected (%.0f B per connection, at most %.0f meanwhile)",
		size(float64(s.RSSBefore)), size(float64(s.RSSConnected)), s.RSSPerConn, s.PeakPerConn)
	if s.RSSMeasured > 0 {
		memory += fmt.Sprintf(", %s measured", size(float64(s.RSSMeasured)))
	}
	t.row("server memory", "%s, %s after", memory, size(float64(s.RSSAfter)))
}

// counts writes a map in a fixed order, or 0.
func counts(m map[string]int64) string {
	if len(m) == 0 {
		return "0"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%d %s", m[k], k))
	}
	return strings.Join(parts, ", ")
}

func ms(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2f ms", v)
	}
	return fmt.Sprintf("%.0f ms", v)
}

func size(bytes float64) string {
	const mib = 1 << 20
	return fmt.Sprintf("%.1f MiB", bytes/mib)
}
