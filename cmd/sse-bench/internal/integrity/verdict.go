package integrity

import (
	"fmt"
	"time"
)

// maxExamples bounds the faulty channels that a verdict describes one by one.
const maxExamples = 10

// Verdict is the judgement over the channels of subscribers. The zero value is
// that over none.
type Verdict struct {
	Lost     int64         `json:"lost"`
	Late     int64         `json:"late"`   // arrived, but not in time
	LateBy   time.Duration `json:"lateBy"` // the longest delay of those
	Repeated int64         `json:"repeated"`
	Disorder int64         `json:"disorder"`
	Gapped   int64         `json:"gapped"`   // missing, and a gap excuses it
	Affected int64         `json:"affected"` // channels with any fault
	Examples []string      `json:"examples"`
}

// Judge adds one channel of one subscriber, of which the numbers up to published
// were published and kept is what Redis has. who names both, and is called only
// if there is a fault to tell of.
func (v *Verdict) Judge(c *Channel, published int64, kept *Retained, who func() string) {
	var lost, gapped int64
	var firstLost Span
	inGap := false // that one is where a gap was announced
	for _, h := range c.missing(published) {
		gapped += h.size()
		for _, l := range kept.lost(h) {
			if lost == 0 {
				firstLost, inGap = l, len(h.gaps) > 0
			}
			lost += l.To - l.From + 1
			gapped -= l.To - l.From + 1
		}
	}
	v.Lost += lost
	v.Gapped += gapped
	f := c.faults
	if f == nil {
		f = &faults{}
	}
	v.Repeated += f.repeated
	v.Late += f.late
	v.LateBy = max(v.LateBy, f.lateBy)
	v.Disorder += f.disorder
	if lost == 0 && f.late == 0 && f.repeated == 0 && f.disorder == 0 {
		return
	}
	v.Affected++
	if len(v.Examples) >= maxExamples {
		return
	}
	text := fmt.Sprintf("%s: lost %d, late %d, repeated %d, out of order %d", who(), lost, f.late, f.repeated, f.disorder)
	if lost > 0 {
		text += fmt.Sprintf(" (first lost %d to %d of %d)", firstLost.From, firstLost.To, published)
		if inGap {
			text += "; the gap in their place does not excuse them"
		}
	}
	v.Examples = append(v.Examples, text+f.lateness())
}

// lateness says how late the latest of the late events was, and whether its
// stream was there for it all the time; "" if none was late.
func (f *faults) lateness() string {
	if f.late == 0 {
		return ""
	}
	stream := "a stream that was open"
	if f.lateNew {
		stream = "a stream opened since"
	}
	return fmt.Sprintf("; late by up to %v, on %s", f.lateBy.Round(time.Millisecond), stream)
}

// Merge adds the verdict of another process.
func (v *Verdict) Merge(o *Verdict) {
	v.Lost += o.Lost
	v.Late += o.Late
	v.LateBy = max(v.LateBy, o.LateBy)
	v.Repeated += o.Repeated
	v.Disorder += o.Disorder
	v.Gapped += o.Gapped
	v.Affected += o.Affected
	v.Examples = append(v.Examples, o.Examples...)
	if len(v.Examples) > maxExamples {
		v.Examples = v.Examples[:maxExamples]
	}
}
