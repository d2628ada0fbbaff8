package integrity

import (
	"slices"
	"time"
)

// hole is a range of numbers, ends included, that did not arrive when their turn
// was, and the gateway.gap events that stood in their place.
type hole struct {
	from, to int64
	gaps     []Announced
}

func (h hole) size() int64 { return h.to - h.from + 1 }

// Channel judges what one subscriber gets of one channel, whose events have the
// numbers 1, 2, 3 and so on. The zero value is ready. It is small, because a
// load client has one for each stream: what only faults need is elsewhere.
type Channel struct {
	last   int64 // the highest number that arrived
	faults *faults
}

// faults are what went wrong on a channel.
type faults struct {
	holes    []hole
	open     []Announced // gaps since the last event
	repeated int64
	disorder int64
	late     int64
	lateBy   time.Duration // the longest delay of a late event
	lateNew  bool          // that one came on a stream that was opened after it was due
}

func (c *Channel) fault() *faults {
	if c.faults == nil {
		c.faults = &faults{}
	}
	return c.faults
}

// Take judges the arrival of a number. It returns false for a repeated one.
func (c *Channel) Take(seq int64) bool {
	if seq == c.last+1 && c.faults == nil {
		c.last = seq
		return true
	}
	f := c.fault()
	if seq <= c.last {
		if f.fill(seq) {
			f.disorder++
			return true
		}
		f.repeated++
		return false
	}
	if seq > c.last+1 {
		f.holes = append(f.holes, hole{c.last + 1, seq - 1, f.open})
	}
	c.last, f.open = seq, nil
	return true
}

// Gap notes that the server announced a gap at this place in the channel.
func (c *Channel) Gap(g Announced) {
	if f := c.fault(); !slices.Contains(f.open, g) {
		f.open = append(f.open, g)
	}
}

// Late notes an event that arrived when the time for it was over. caughtUp tells
// that its stream was opened after it was due.
func (c *Channel) Late(delay time.Duration, caughtUp bool) {
	f := c.fault()
	if f.late++; delay > f.lateBy {
		f.lateBy, f.lateNew = delay, caughtUp
	}
}

// Behind tells whether events up to published have yet to arrive.
func (c *Channel) Behind(published int64) bool { return c.last < published }

// fill takes seq out of the hole that it belongs to; false if it is in none.
func (f *faults) fill(seq int64) bool {
	for i, h := range f.holes {
		if seq < h.from || seq > h.to {
			continue
		}
		switch {
		case h.from == h.to:
			f.holes = append(f.holes[:i], f.holes[i+1:]...)
		case seq == h.from:
			f.holes[i].from++
		case seq == h.to:
			f.holes[i].to--
		default:
			f.holes[i].to = seq - 1
			f.holes = append(f.holes, hole{seq + 1, h.to, h.gaps})
		}
		return true
	}
	return false
}

// missing returns the holes that remain once the numbers 1 to published have been
// published. It does not change the channel.
func (c *Channel) missing(published int64) []hole {
	var holes []hole
	var open []Announced
	if c.faults != nil {
		holes, open = slices.Clone(c.faults.holes), c.faults.open
	}
	if c.Behind(published) {
		holes = append(holes, hole{c.last + 1, published, open})
	}
	return holes
}

// GapIDs adds the ids that gaps have named where events are missing.
func (c *Channel) GapIDs(channel int, published int64, to GapIDs) {
	for _, h := range c.missing(published) {
		for _, g := range h.gaps {
			to.add(channel, g.After, g.Resumed)
		}
	}
}
