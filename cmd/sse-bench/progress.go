package main

import (
	"fmt"
	"io"
	"time"
)

// progress prints a line per second about how the run goes.
type progress struct {
	w         io.Writer
	quiet     bool
	start     time.Time
	last      time.Time
	delivered int64
	published int64
	worst     int64 // ns, since the last line
}

func newProgress(w io.Writer, quiet bool) *progress {
	now := time.Now()
	return &progress{w: w, quiet: quiet, start: now, last: now}
}

// tick notes the counts and prints a line if a second has passed. Lag is the
// longest delay of an event since the last line; behind is how many deliveries
// are due from what was published.
func (p *progress) tick(t *tally, pub *publisher) {
	p.worst = max(p.worst, t.Worst)
	since := time.Since(p.last)
	if p.quiet || since < pollSlow-pollFast {
		return
	}
	var published, behind int64
	if pub != nil {
		published = pub.total.Load()
		behind = max(pub.expected.Load()-t.Delivered, 0)
	}
	fmt.Fprintf(p.w, "%4.0fs  connected %d  published %.0f/s  delivered %.0f/s  lag %s  behind %d\n",
		time.Since(p.start).Seconds(), t.Ready,
		float64(published-p.published)/since.Seconds(),
		float64(t.Delivered-p.delivered)/since.Seconds(),
		ms(float64(p.worst)*msPerNs), behind)
	p.last, p.published, p.delivered, p.worst = time.Now(), published, t.Delivered, 0
}
