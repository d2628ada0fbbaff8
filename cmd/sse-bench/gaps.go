package main

import (
	"fmt"
	"math"
	"slices"
)

// A gateway.gap does not excuse everything that is missing after it. Events can
// only be undeliverable if Redis does not have them any more, or if they are too
// large; and a gap that says where the stream goes on is to be taken at its
// word. So whoever publishes by XADD asks Redis at the end what it still has.

// announced is what a gateway.gap said. Its ids are as they came, "" if there
// was none.
type announced struct {
	after, resumed string
	kind           gapKind
}

// gapKind is what a gap's reason excuses.
type gapKind uint8

const (
	gapAny      gapKind = iota // reset and others: what Redis does not have
	gapTrimmed                 // of (after, resumed] what Redis does not have
	gapTooLarge                // (after, resumed], which is one event, and Redis has it
)

func kindOfGap(reason string) gapKind {
	switch reason {
	case "trimmed":
		return gapTrimmed
	case "too_large":
		return gapTooLarge
	}
	return gapAny
}

// retained is what Redis has of a channel's events of this run, and what a gap's
// ids stand for there. Nil stands for a Redis that cannot be asked: then a gap
// excuses whatever is missing in its place.
type retained struct {
	Numbers []span           `json:"numbers"` // of the events that Redis has, ascending
	Places  map[string]place `json:"places"`  // by id
}

// allRetained stands for a channel that Redis was not asked about, because it
// had no gap then: for all that is known, Redis has everything.
var allRetained = &retained{Numbers: []span{{1, math.MaxInt64}}}

// span is a range of sequence numbers, ends included.
type span struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// place is how many of a channel's events are at or before an id. Low and High
// differ when the ids of some are not known.
type place struct {
	Low  int64 `json:"low"`
	High int64 `json:"high"`
}

// has tells whether Redis has the event with a number.
func (r *retained) has(seq int64) bool {
	_, found := slices.BinarySearchFunc(r.Numbers, seq, func(s span, n int64) int {
		switch {
		case s.To < n:
			return -1
		case s.From > n:
			return 1
		}
		return 0
	})
	return found
}

// lost returns those numbers of a hole that no gap excuses, ascending.
func (r *retained) lost(h hole) []span {
	switch {
	case len(h.gaps) == 0:
		return []span{{h.from, h.to}}
	case r == nil:
		return nil
	}
	const ifGone, always = 1, 2
	excuse := make([]uint8, h.size())
	for _, g := range h.gaps {
		covers, how := r.covers(g, h), uint8(ifGone)
		if g.kind == gapTooLarge {
			how = always
		}
		for n := covers.From; n <= covers.To; n++ {
			excuse[n-h.from] |= how
		}
	}
	var lost []span
	for n := h.from; n <= h.to; n++ {
		if e := excuse[n-h.from]; e&always == 0 && (e == 0 || r.has(n)) {
			lost = appendNumber(lost, n)
		}
	}
	return lost
}

// covers returns the numbers of a hole that a gap speaks of. One that has to
// name a range and does not speaks of none.
func (r *retained) covers(g announced, h hole) span {
	if g.kind == gapAny {
		return span{h.from, h.to}
	}
	after, ok1 := r.Places[g.after]
	resumed, ok2 := r.Places[g.resumed]
	if !ok1 || !ok2 {
		return span{0, -1}
	}
	return span{max(h.from, after.Low+1), min(h.to, resumed.High)}
}

// appendNumber adds a number that is greater than all before.
func appendNumber(to []span, n int64) []span {
	if i := len(to) - 1; i >= 0 && to[i].To == n-1 {
		to[i].To = n
		return to
	}
	return append(to, span{n, n})
}

// gapIDs are the channels in which events are missing where a gap was announced,
// and the ids that those gaps named.
type gapIDs map[int]map[string]struct{}

func (g gapIDs) add(channel int, ids ...string) {
	if g[channel] == nil {
		g[channel] = map[string]struct{}{}
	}
	for _, id := range ids {
		g[channel][id] = struct{}{}
	}
}

func (g gapIDs) merge(o gapIDs) {
	for channel, ids := range o {
		g.add(channel)
		for id := range ids {
			g.add(channel, id)
		}
	}
}

// gapped returns where the group's subscribers miss events that a gap may excuse.
func (g *group) gapped() gapIDs {
	g.mu.Lock()
	defer g.mu.Unlock()
	found := gapIDs{}
	if g.published == nil {
		return found
	}
	for i := range g.subs {
		s := &g.subs[i]
		for c := range s.channels {
			ch := g.cfg.channelOf(s.index, c)
			for _, h := range s.channels[c].finish(g.published[ch]) {
				for _, gap := range h.gaps {
					found.add(ch, gap.after, gap.resumed)
				}
			}
		}
	}
	return found
}

// askRedis returns what Redis has of the channels in which a gap stands for
// missing events; nil if it was not Redis that was published to. A Redis that
// does not tell makes the run fail.
func (b *bench) askRedis() (map[int]*retained, error) {
	s, ok := b.sink.(*redisSink)
	if !ok || !b.checked {
		return nil, nil
	}
	gapped, err := b.fleet.gapped()
	if err != nil {
		return nil, err
	}
	has := map[int]*retained{}
	for channel, ids := range gapped {
		r := &retained{Places: map[string]place{}}
		log := b.pub.ids[channel]
		if r.Numbers, err = s.retained(channel, log); err != nil {
			b.report.Failures = append(b.report.Failures, fmt.Sprintf("gaps were announced, and what Redis still has is not known: %v", err))
			return nil, nil
		}
		for text := range ids {
			if id, ok := parseEntryID(text); ok {
				r.Places[text] = log.place(id, b.pub.sent[channel].Load())
			}
		}
		has[channel] = r
	}
	return has, nil
}
