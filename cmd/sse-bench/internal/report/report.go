package report

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Report is the outcome of a run; -o json prints it. Times are in the unit that
// their name ends with. A part that the run did not have is left out.
type Report struct {
	Scenario    string          `json:"scenario,omitempty"`
	Run         string          `json:"run"`
	Addresses   []string        `json:"addresses"`
	Subscribers int             `json:"subscribers"`
	Channels    int             `json:"channels"`
	SizeBytes   int             `json:"size_bytes"`
	Connect     ConnectReport   `json:"connect"`
	Publish     *PublishReport  `json:"publish,omitempty"`
	Deliver     DeliverReport   `json:"deliver"`
	Latency     LatencyReport   `json:"latency"`
	Live        *LatencyReport  `json:"latency_live,omitempty"` // without what was caught up after a reconnect
	Integrity   IntegrityReport `json:"integrity"`
	Storm       *StormReport    `json:"storm,omitempty"`
	Server      *ServerReport   `json:"server,omitempty"`
	Client      ClientReport    `json:"client"`
	Machine     *MachineReport  `json:"machine,omitempty"`
	Pass        bool            `json:"pass"`
	Failures    []string        `json:"failures"`
	Outcome     string          `json:"outcome"` // the last line of the table
}

// ConnectReport is about the first streams: from the first SYN until a
// gateway.ready (another server: a response head) for the last subscriber.
type ConnectReport struct {
	Connected int     `json:"connected"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"`
}

// PublishReport is about the publisher. Late is how long after their time events
// were sent; it is part of the latency.
type PublishReport struct {
	Events    int64   `json:"events"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"`
	Errors    int64   `json:"errors"`
	LateP99Ms float64 `json:"late_p99_ms"`
	LateMaxMs float64 `json:"late_max_ms"`
}

// DeliverReport counts what arrived. Seconds is from the start of publishing to
// the last event, or how long the subscribers stayed.
type DeliverReport struct {
	Events    int64   `json:"events"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"`
	Bytes     int64   `json:"bytes"`
	Foreign   int64   `json:"foreign"` // events of somebody else
}

// LatencyReport is the time from when an event was due to its arrival.
type LatencyReport struct {
	Count  int64   `json:"count"`
	MeanMs float64 `json:"mean_ms"`
	P50Ms  float64 `json:"p50_ms"`
	P99Ms  float64 `json:"p99_ms"`
	P999Ms float64 `json:"p999_ms"`
	MaxMs  float64 `json:"max_ms"`
}

// IntegrityReport sums up over every subscriber and channel. Gapped events are
// missing too, but the server said so in their place and, when Redis was asked,
// Redis does not have them any more or they are too large. Whatever else is
// missing is lost, with a gap in its place or without.
type IntegrityReport struct {
	Checked     bool                        `json:"checked"`     // false when nothing was published
	Lost        int64                       `json:"lost"`        // never arrived; no gap excuses it
	Late        int64                       `json:"late"`        // arrived within --grace, not within --settle
	LateMaxMs   float64                     `json:"late_max_ms"` // the longest time from when a late one was due
	Repeated    int64                       `json:"repeated"`
	OutOfOrder  int64                       `json:"out_of_order"`
	Misrouted   int64                       `json:"misrouted"`
	Gapped      int64                       `json:"gapped"`
	Gaps        map[string]int64            `json:"gaps"`         // gateway.gap events by reason
	GapChannels map[string]map[string]int64 `json:"gap_channels"` // the same by channel
	Affected    int64                       `json:"affected"`     // channels of subscribers with any fault
	Examples    []string                    `json:"examples"`
	Reconnects  int64                       `json:"reconnects"`
	Ends        int64                       `json:"ends"`  // gateway.end events
	Ended       int                         `json:"ended"` // subscribers that were then answered 204, which is no fault
	Refused     int                         `json:"refused"`
	Refusals    map[string]int64            `json:"refusals"`
	Faults      map[string]int64            `json:"connection_faults"`
}

// StormReport is the time from the start of the return until the last
// subscriber was ready, and until it had every event it missed.
type StormReport struct {
	Missed       int     `json:"missed_per_channel"`
	ReadySeconds float64 `json:"ready_seconds"`
	Seconds      float64 `json:"seconds"` // 0 when somebody never got everything, gap or not
}

// ServerReport is about the processes of --pids. Processor time is of the
// measured phase: publishing and settling, the return of a storm, or the stay.
// Memory per connection is the growth since before the first one, so a process
// that has served others before tells less; it is read when all have connected,
// or at the end of a stay.
type ServerReport struct {
	UserSeconds   float64 `json:"user_seconds"`
	SystemSeconds float64 `json:"system_seconds"`
	PerDeliveryUs float64 `json:"cpu_us_per_delivery,omitempty"`
	PerConnectUs  float64 `json:"cpu_us_per_connect"`
	RSSBefore     int64   `json:"rss_before_bytes"`
	RSSConnected  int64   `json:"rss_connected_bytes"`
	RSSPerConn    float64 `json:"rss_per_connection_bytes"`
	PeakPerConn   float64 `json:"rss_peak_per_connection_bytes"` // while they connected
	RSSMeasured   int64   `json:"rss_measured_bytes,omitempty"`  // at the end of the measured phase
	RSSAfter      int64   `json:"rss_after_bytes"`               // after the disconnect
}

// ClientReport is what this tool used itself in the measured phase. Cores near
// the number that it has means that it, not the server, is the limit.
type ClientReport struct {
	CPUSeconds float64 `json:"cpu_seconds"`
	Cores      float64 `json:"cores"`
}

// MachineReport is about this machine in the measured phase, whoever used it.
type MachineReport struct {
	Cores          int     `json:"cores"`
	Busy           float64 `json:"busy"`            // the share of the processor time that was used, 0 to 1
	AvailableBytes int64   `json:"available_bytes"` // memory, at the end
}

const msPerNs = 1 / float64(time.Millisecond)

// NewLatency sums up a histogram.
func NewLatency(h *Histogram) LatencyReport {
	l := LatencyReport{
		Count: h.Count(),
		P50Ms: float64(h.Quantile(0.5)) * msPerNs, P99Ms: float64(h.Quantile(0.99)) * msPerNs,
		P999Ms: float64(h.Quantile(0.999)) * msPerNs, MaxMs: float64(h.Quantile(1)) * msPerNs,
	}
	if h.h != nil {
		l.MeanMs = h.h.Mean() * msPerNs
	}
	return l
}

// Judge decides whether the run passed, and says so in words.
func (r *Report) Judge(noGaps bool) {
	i := &r.Integrity
	fail := func(n int64, what string) {
		if n > 0 {
			r.Failures = append(r.Failures, fmt.Sprintf("%d %s", n, what))
		}
	}
	if r.Publish != nil && r.Publish.Events == 0 {
		r.Failures = append(r.Failures, "no event was published: the run proves nothing")
	}
	fail(i.Lost, "events lost")
	fail(i.Late, fmt.Sprintf("events late: they came only after --settle, at most %s after they were due", ms(i.LateMaxMs)))
	fail(i.Repeated, "events repeated")
	fail(i.OutOfOrder, "events out of order")
	fail(i.Misrouted, "events of a channel that was not asked for")
	fail(int64(r.Subscribers-r.Connect.Connected-i.Refused), "subscribers never connected")
	for _, reason := range slices.Sorted(maps.Keys(i.Refusals)) {
		fail(i.Refusals[reason], "subscribers closed for good: "+reason)
	}
	if noGaps {
		for _, reason := range slices.Sorted(maps.Keys(i.Gaps)) {
			fail(i.Gaps[reason], "gaps: "+reason)
		}
	}
	r.Pass = len(r.Failures) == 0
	r.Outcome = r.outcome()
}
