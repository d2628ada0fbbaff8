package main

import (
	"fmt"
	"maps"
)

// maxExamples bounds the faulty channels that a verdict describes one by one.
const maxExamples = 10

// verdict is the judgement over a group, a process or a run.
type verdict struct {
	Tally       tally                       `json:"tally"`
	Lost        int64                       `json:"lost"`
	Late        int64                       `json:"late"`   // arrived, but not within -settle
	LateBy      int64                       `json:"lateBy"` // the longest delay of those, ns
	Repeated    int64                       `json:"repeated"`
	Disorder    int64                       `json:"disorder"`
	Gapped      int64                       `json:"gapped"` // missing, and a gap excuses it
	Affected    int64                       `json:"affected"`
	GapChannels map[string]map[string]int64 `json:"gapChannels"`
	Examples    []string                    `json:"examples"`
}

func newVerdict() *verdict {
	return &verdict{Tally: newTally(), GapChannels: map[string]map[string]int64{}}
}

func (v *verdict) judge(s *subscriber, name string, c *channelState, published int64, kept *retained) {
	var lost, gapped int64
	var firstLost span
	inGap := false // that one is where a gap was announced
	for _, h := range c.finish(published) {
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
	repeated := int64(c.repeated) + c.early()
	v.Repeated += repeated
	v.Late += int64(c.late)
	v.LateBy = max(v.LateBy, c.lateBy)
	v.Disorder += int64(c.disorder)
	if lost == 0 && c.late == 0 && repeated == 0 && c.disorder == 0 {
		return
	}
	v.Affected++
	if len(v.Examples) >= maxExamples {
		return
	}
	text := fmt.Sprintf("subscriber %d, channel %s: lost %d, late %d, repeated %d, out of order %d", s.index, name, lost, c.late, repeated, c.disorder)
	if lost > 0 {
		text += fmt.Sprintf(" (first lost %d to %d of %d)", firstLost.From, firstLost.To, published)
		if inGap {
			text += "; the gap in their place does not excuse them"
		}
		if s.readyAt == 0 {
			text += "; it has no stream"
		}
	}
	v.Examples = append(v.Examples, text+c.lateness())
}

// lateness says how late the latest of the late events was, and whether its
// stream was there for it all the time; "" if none was late.
func (c *channelState) lateness() string {
	if c.late == 0 {
		return ""
	}
	stream := "a stream that was open"
	if c.lateNew {
		stream = "a stream opened since"
	}
	return fmt.Sprintf("; late by up to %s, on %s", ms(float64(c.lateBy)*msPerNs), stream)
}

// merge adds o, of another group or process.
func (v *verdict) merge(o *verdict) {
	v.Tally.merge(&o.Tally)
	v.Lost += o.Lost
	v.Late += o.Late
	v.LateBy = max(v.LateBy, o.LateBy)
	v.Repeated += o.Repeated
	v.Disorder += o.Disorder
	v.Gapped += o.Gapped
	v.Affected += o.Affected
	for ch, reasons := range o.GapChannels {
		if v.GapChannels[ch] == nil {
			v.GapChannels[ch] = map[string]int64{}
		}
		addAll(v.GapChannels[ch], reasons)
	}
	v.Examples = append(v.Examples, o.Examples...)
	if len(v.Examples) > maxExamples {
		v.Examples = v.Examples[:maxExamples]
	}
}

// verdict sums up what every subscriber of the group got and missed. has is what
// Redis has of the channels with gaps, nil if it was not asked.
func (g *group) verdict(has map[int]*retained) *verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := newVerdict()
	v.Tally.merge(&g.tally)
	for ch, reasons := range g.gapChannels {
		v.GapChannels[ch] = maps.Clone(reasons)
	}
	if g.published == nil {
		return v
	}
	for i := range g.subs {
		s := &g.subs[i]
		if s.firstAt == 0 {
			continue // it counts as refused or as not connected
		}
		for c := range s.channels {
			ch := g.cfg.channelOf(s.index, c)
			kept := has[ch]
			if kept == nil && has != nil {
				kept = allRetained
			}
			v.judge(s, g.cfg.channelName(ch), &s.channels[c], g.published[ch], kept)
		}
	}
	return v
}
