package integrity

import (
	"math"
	"slices"
)

// A gateway.gap does not excuse everything that is missing after it. Events can
// only be undeliverable if Redis does not have them any more, or if they are too
// large; and a gap that says where the stream goes on is taken at its word. So
// whoever publishes by XADD asks Redis at the end what it still has.

// Announced is what a gateway.gap said. Its ids are as they came, "" if there was
// none. What it excuses follows from the reason: too_large (After, Resumed],
// which is one event that Redis has; trimmed, of (After, Resumed], what Redis
// does not have; any other whatever Redis does not have.
type Announced struct{ After, Resumed, Reason string }

const (
	reasonTrimmed  = "trimmed"
	reasonTooLarge = "too_large"
)

// Retained is what Redis has of a channel's events of this run, and what a gap's
// ids stand for there. Nil stands for a Redis that cannot be asked: then a gap
// excuses whatever is missing in its place.
type Retained struct {
	Numbers []Span           `json:"numbers"` // of the events that Redis has, ascending
	Places  map[string]Place `json:"places"`  // by id
}

// AllRetained stands for a channel that Redis was not asked about, because it had
// no gap then: for all that is known, Redis has everything.
var AllRetained = &Retained{Numbers: []Span{{1, math.MaxInt64}}}

// Span is a range of numbers, ends included.
type Span struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Place is how many of a channel's events are at or before an id. Low and High
// differ when the ids of some are not known.
type Place struct {
	Low  int64 `json:"low"`
	High int64 `json:"high"`
}

// has tells whether Redis has the event with a number.
func (r *Retained) has(seq int64) bool {
	_, found := slices.BinarySearchFunc(r.Numbers, seq, func(s Span, n int64) int {
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
func (r *Retained) lost(h hole) []Span {
	switch {
	case len(h.gaps) == 0:
		return []Span{{h.from, h.to}}
	case r == nil:
		return nil
	}
	const ifGone, always = 1, 2
	excuse := make([]uint8, h.size())
	for _, g := range h.gaps {
		covers, how := r.covers(g, h), uint8(ifGone)
		if g.Reason == reasonTooLarge {
			how = always
		}
		for n := covers.From; n <= covers.To; n++ {
			excuse[n-h.from] |= how
		}
	}
	var lost []Span
	for n := h.from; n <= h.to; n++ {
		if e := excuse[n-h.from]; e&always == 0 && (e == 0 || r.has(n)) {
			lost = AppendNumber(lost, n)
		}
	}
	return lost
}

// covers returns the numbers of a hole that a gap speaks of. One that has to name
// a range and does not speaks of none.
func (r *Retained) covers(g Announced, h hole) Span {
	if g.Reason != reasonTrimmed && g.Reason != reasonTooLarge {
		return Span{h.from, h.to}
	}
	after, ok1 := r.Places[g.After]
	resumed, ok2 := r.Places[g.Resumed]
	if !ok1 || !ok2 {
		return Span{0, -1}
	}
	return Span{max(h.from, after.Low+1), min(h.to, resumed.High)}
}

// AppendNumber adds a number that is greater than all before.
func AppendNumber(to []Span, n int64) []Span {
	if i := len(to) - 1; i >= 0 && to[i].To == n-1 {
		to[i].To = n
		return to
	}
	return append(to, Span{n, n})
}

// GapIDs are the channels in which events are missing where a gap was announced,
// and the ids that those gaps named.
type GapIDs map[int]map[string]struct{}

func (g GapIDs) add(channel int, ids ...string) {
	if g[channel] == nil {
		g[channel] = map[string]struct{}{}
	}
	for _, id := range ids {
		g[channel][id] = struct{}{}
	}
}

// Merge adds what another process found.
func (g GapIDs) Merge(o GapIDs) {
	for channel, ids := range o {
		g.add(channel)
		for id := range ids {
			g.add(channel, id)
		}
	}
}
