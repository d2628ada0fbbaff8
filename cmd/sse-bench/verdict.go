package main

import "slices"

// hole is a range of sequence numbers, ends included, that did not arrive when
// their turn was, and the gateway.gap events that stood in their place.
type hole struct {
	from, to int64
	gaps     []announced
}

// channelState judges what one subscriber gets of one channel. Sequence numbers
// start at 1 and rise by 1, so every fault shows in the numbers alone.
type channelState struct {
	base  int64 // events up to this one were published before the subscriber came
	first int64 // the first number that arrived, 0 for none
	last  int64 // the highest number that arrived
	holes []hole

	repeated int32
	disorder int32
	late     int32
	lateBy   int64 // the longest delay of a late event, ns
	lateNew  bool  // that one came on a stream that was opened after it was due
	joined   bool  // first only opened the count: what came before is judged by finish
	exact    bool  // base is a fact, not an estimate by the time

	gapsOpen  []announced // gaps since the last event
	gapsFirst []announced // and before the first one, if joined
}

// arrival is how an event relates to what has arrived before.
type arrival uint8

const (
	inOrder arrival = iota
	afterHole
	belated // what comes after it has arrived before
	again
)

// take judges the arrival of sequence number seq. A joining subscriber does not
// know where its channel stands: its first event only opens the count, and
// finish judges what was missing before it.
func (c *channelState) take(seq int64, joining bool) arrival {
	if c.first == 0 {
		c.first = seq
		if joining {
			c.last, c.gapsFirst, c.gapsOpen, c.joined = seq, c.gapsOpen, nil, true
			return inOrder
		}
	}
	if seq <= c.last {
		if c.fill(seq) || c.joined && seq < c.first {
			c.disorder++
			return belated
		}
		c.repeated++
		return again
	}
	result := inOrder
	if seq > c.last+1 {
		c.holes = append(c.holes, hole{c.last + 1, seq - 1, c.gapsOpen})
		result = afterHole
	}
	c.last, c.gapsOpen = seq, nil
	return result
}

// gap notes that the server announced a gap at this place in the channel.
func (c *channelState) gap(g announced) {
	if !slices.Contains(c.gapsOpen, g) {
		c.gapsOpen = append(c.gapsOpen, g)
	}
}

// overdue notes an event that arrived when the time for it was over. caughtUp
// tells that its stream was opened after it was due.
func (c *channelState) overdue(delay int64, caughtUp bool) {
	if c.late++; delay > c.lateBy {
		c.lateBy, c.lateNew = delay, caughtUp
	}
}

// fill takes seq out of the hole it belongs to; false if it is in none.
func (c *channelState) fill(seq int64) bool {
	for i, h := range c.holes {
		if seq < h.from || seq > h.to {
			continue
		}
		switch {
		case h.from == h.to:
			c.holes = append(c.holes[:i], c.holes[i+1:]...)
		case seq == h.from:
			c.holes[i].from++
		case seq == h.to:
			c.holes[i].to--
		default:
			c.holes[i].to = seq - 1
			c.holes = append(c.holes, hole{seq + 1, h.to, h.gaps})
		}
		return true
	}
	return false
}

// behind tells whether the channel's events up to published are not all past.
func (c *channelState) behind(published int64) bool {
	return max(c.last, c.base) < published
}

// early returns how many events arrived that the subscriber already had when it
// came: a position stands for everything up to it.
func (c *channelState) early() int64 {
	if !c.exact || c.first == 0 || c.first > c.base {
		return 0
	}
	n := min(c.last, c.base) - c.first + 1
	for _, h := range c.holes {
		n -= max(min(h.to, c.base)-max(h.from, c.first)+1, 0)
	}
	return n
}

// finish returns the holes that remain once the channel's numbers 1 to
// published have been published. It does not change the state.
func (c *channelState) finish(published int64) []hole {
	var holes []hole
	for _, h := range c.holes {
		if c.exact { // what is missing up to there was not owed
			h.from = max(h.from, c.base+1)
		}
		if h.from <= h.to {
			holes = append(holes, h)
		}
	}
	if c.joined && c.first > c.base+1 {
		holes = append(holes, hole{c.base + 1, c.first - 1, c.gapsFirst})
	}
	if c.behind(published) {
		holes = append(holes, hole{max(c.last, c.base) + 1, published, c.gapsOpen})
	}
	return holes
}

func (h hole) size() int64 { return h.to - h.from + 1 }
