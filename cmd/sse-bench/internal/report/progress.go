package report

import (
	"fmt"
	"io"
	"os"
	"time"
)

// Every is how often Progress shows a line.
const Every = time.Second

// Control sequences of terminals (ECMA-48, and DECAWM). A line that is longer than the
// terminal is wide ends at its edge: an erasure would leave the row before.
const (
	eraseLine = "\r\x1b[K"
	noWrap    = "\x1b[?7l"
	wrap      = "\x1b[?7h"
)

// Counts are what a progress line is made of: totals, and the longest delay of an
// event since the last Counts.
type Counts struct {
	Connected int
	Published int64
	Delivered int64
	Expected  int64 // deliveries that follow from what was published
	Worst     time.Duration
}

// Progress shows how a run goes: one line that changes on a terminal, else a line
// per second.
type Progress struct {
	w        io.Writer
	quiet    bool
	terminal bool
	start    time.Time
	last     time.Time
	before   Counts
	worst    time.Duration // since the last line
}

// NewProgress shows nothing if it is quiet.
func NewProgress(w io.Writer, quiet bool) *Progress {
	now := time.Now()
	p := &Progress{w: w, quiet: quiet, start: now, last: now}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// Say shows a line that stays.
func (p *Progress) Say(format string, args ...any) {
	if p.quiet {
		return
	}
	p.Done()
	fmt.Fprintf(p.w, "%4.0fs  %s\n", time.Since(p.start).Seconds(), fmt.Sprintf(format, args...))
}

// Done ends the line that changes.
func (p *Progress) Done() {
	if !p.quiet && p.terminal {
		fmt.Fprint(p.w, eraseLine)
	}
}

// Tick notes the counts and shows them if a second has passed.
func (p *Progress) Tick(c Counts) {
	p.worst = max(p.worst, c.Worst)
	since := time.Since(p.last)
	if p.quiet || since < Every*95/100 {
		return
	}
	line := fmt.Sprintf("%4.0fs  connected %d  published %.0f/s  delivered %.0f/s  lag %s  behind %d",
		time.Since(p.start).Seconds(), c.Connected,
		PerSecond(c.Published-p.before.Published, since.Seconds()), PerSecond(c.Delivered-p.before.Delivered, since.Seconds()),
		ms(float64(p.worst)*msPerNs), max(c.Expected-c.Delivered, 0))
	if p.terminal {
		fmt.Fprint(p.w, eraseLine+noWrap+line+wrap)
	} else {
		fmt.Fprintln(p.w, line)
	}
	p.last, p.before, p.worst = time.Now(), c, 0
}
