package client

import "github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"

// maxFaultKinds bounds the different connection errors that are told apart.
const maxFaultKinds = 32

// Tally is what a group counts. It travels from worker processes as JSON.
type Tally struct {
	Ready       int              `json:"ready"`       // streams ready now
	EverReady   int              `json:"everReady"`   // subscribers that were ready once
	Refused     int              `json:"refused"`     // subscribers closed for good
	Ended       int              `json:"ended"`       // subscribers closed for good by 204
	Ends        int64            `json:"ends"`        // gateway.end events
	Reconnects  int64            `json:"reconnects"`  // streams ready again after an end
	Delivered   int64            `json:"delivered"`   // events of this run
	Foreign     int64            `json:"foreign"`     // other events
	Misrouted   int64            `json:"misrouted"`   // events of a channel not asked for
	Bytes       int64            `json:"bytes"`       // received, with HTTP and SSE framing
	Comments    int64            `json:"comments"`    // lines that only say that the stream is there: heartbeats
	LastReadyAt int64            `json:"lastReadyAt"` // unix ns
	LastEventAt int64            `json:"lastEventAt"` // unix ns, repeats do not count
	Worst       int64            `json:"worst"`       // longest delay since the last status, ns
	Behind      int64            `json:"behind"`      // channels of subscribers that miss the end
	Refusals    map[string]int64 `json:"refusals"`
	Faults      map[string]int64 `json:"faults"`

	// GapChannels are the gaps by channel and reason.
	GapChannels map[string]map[string]int64 `json:"gapChannels"`

	Live    report.Histogram `json:"live"`    // delay of events that were due when the stream was ready
	CatchUp report.Histogram `json:"catchUp"` // of those that were due before
}

// NewTally returns an empty one.
func NewTally() *Tally {
	return &Tally{
		Refusals: map[string]int64{}, Faults: map[string]int64{}, GapChannels: map[string]map[string]int64{},
	}
}

// fault counts a connection error by its text.
func (t *Tally) fault(text string) {
	if _, known := t.Faults[text]; !known && len(t.Faults) >= maxFaultKinds {
		text = "other"
	}
	t.Faults[text]++
}

// addGaps adds gaps of a channel, by reason.
func (t *Tally) addGaps(channel string, reasons map[string]int64) {
	if t.GapChannels[channel] == nil {
		t.GapChannels[channel] = map[string]int64{}
	}
	addAll(t.GapChannels[channel], reasons)
}

// Gaps returns the gaps of all channels by reason.
func (t *Tally) Gaps() map[string]int64 {
	sum := map[string]int64{}
	for _, reasons := range t.GapChannels {
		addAll(sum, reasons)
	}
	return sum
}

// Merge adds the tally of another process.
func (t *Tally) Merge(o *Tally) {
	t.Ready += o.Ready
	t.EverReady += o.EverReady
	t.Refused += o.Refused
	t.Ended += o.Ended
	t.Ends += o.Ends
	t.Reconnects += o.Reconnects
	t.Delivered += o.Delivered
	t.Foreign += o.Foreign
	t.Misrouted += o.Misrouted
	t.Bytes += o.Bytes
	t.Comments += o.Comments
	t.LastReadyAt = max(t.LastReadyAt, o.LastReadyAt)
	t.LastEventAt = max(t.LastEventAt, o.LastEventAt)
	t.Worst = max(t.Worst, o.Worst)
	t.Behind += o.Behind
	addAll(t.Refusals, o.Refusals)
	addAll(t.Faults, o.Faults)
	for channel, reasons := range o.GapChannels {
		t.addGaps(channel, reasons)
	}
	t.Live.Merge(&o.Live)
	t.CatchUp.Merge(&o.CatchUp)
}

func addAll(to, from map[string]int64) {
	for k, n := range from {
		to[k] += n
	}
}
