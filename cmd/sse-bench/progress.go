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

// overdue says that the time for the last events is over for some channels of
// subscribers, and how much longer they are waited for.
func (p *progress) overdue(channels int64, settle, grace time.Duration) {
	if !p.quiet {
		fmt.Fprintf(p.w, "%4.0fs  %d subscriptions are behind after -settle %s; what comes within -grace %s is late\n",
			time.Since(p.start).Seconds(), channels, settle, grace)
	}
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
