package load

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/client"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"
)

// Step is what one step of a run that is driven from outside came to.
type Step struct {
	Step       string  `json:"step"`
	Seconds    float64 `json:"seconds"`    // until the last stream or event that it was about
	Ready      int     `json:"ready"`      // streams at its end
	Reconnects int64   `json:"reconnects"` // streams that came back so far
	HalfMs     float64 `json:"half_ms"`    // publish: from when an event was due until half of all had it
	P99Ms      float64 `json:"p99_ms"`     // … 99 % of all
	AllMs      float64 `json:"all_ms"`     // … everybody
	Deliveries int64   `json:"deliveries"` // publish: that the histogram is of
	ClientCPU  float64 `json:"client_cpu"` // seconds of processor time of this tool
	Error      string  `json:"error,omitempty"`
}

// Steps makes a run whose steps are lines on in, answers each by a line of JSON
// (a Step) on out, and returns the report when in ends:
//
//	connect      open every stream
//	wait         until everybody has a stream again
//	stay 30s     nothing
//	publish 3 1  events of each channel, per second; until everybody has them
//	return 1000  end so many streams at once and open them again
func Steps(ctx context.Context, o *Options, in io.Reader, out, stderr io.Writer) (*report.Report, error) {
	b, err := open(ctx, "steps", o, stderr)
	if err != nil {
		return nil, err
	}
	defer b.close(stderr)
	enc := json.NewEncoder(out)
	var sent int64
	for lines := bufio.NewScanner(in); lines.Scan() && ctx.Err() == nil; {
		words := append(strings.Fields(lines.Text()), "", "", "")
		s := Step{Step: words[0]}
		if err := b.step(&s, words[1], words[2], &sent); err != nil {
			s.Error = err.Error()
		}
		if err := enc.Encode(s); err != nil {
			return nil, fmt.Errorf("steps: %w", err)
		}
	}
	if err := b.judge(); err != nil {
		return nil, err
	}
	b.report.Judge(o.NoGaps)
	return b.report, nil
}

// step carries out one step. sent counts the events so far.
func (b *bench) step(s *Step, first, second string, sent *int64) (err error) {
	before, start := b.fleet.cpu(), unixNow()
	var t *client.Tally
	switch s.Step {
	case "connect":
		if _, err = b.connect(); err == nil {
			err = b.measure()
		}
		s.Seconds = b.report.Connect.Seconds
	case "wait":
		t, err = b.everybody(start, s)
	case "stay":
		var d time.Duration
		if d, err = time.ParseDuration(first); err == nil {
			s.Seconds = d.Seconds()
			_, _, err = b.watch(b.ctx, nil, d, report.Every, nil)
		}
	case "return":
		var n int
		if n, err = strconv.Atoi(first); err == nil {
			err = b.fleet.leave(n)
		}
		if err == nil {
			t, err = b.everybody(start, s)
		}
	case "publish":
		err = b.publishStep(s, first, second, sent)
	default:
		err = fmt.Errorf("%q is no step", s.Step)
	}
	if err == nil && t == nil {
		t, err = b.fleet.status()
	}
	if err == nil {
		s.Ready, s.Reconnects, s.ClientCPU = t.Ready, t.Reconnects, b.fleet.cpu()-before
	}
	return err
}

// everybody waits until everybody has a stream.
func (b *bench) everybody(start int64, s *Step) (*client.Tally, error) {
	t, all, err := b.ready()
	if err == nil && !all {
		err = fmt.Errorf("%d of %d have no stream", b.o.Subscribers-t.Ready, b.o.Subscribers)
	}
	if err == nil {
		s.Seconds = float64(max(t.LastReadyAt-start, 0)) / 1e9
	}
	return t, err
}

func (b *bench) publishStep(s *Step, count, perSecond string, sent *int64) error {
	n, err1 := strconv.ParseInt(count, 10, 64)
	rate, err2 := strconv.ParseFloat(perSecond, 64)
	if b.pub == nil || err1 != nil || err2 != nil || n < 1 || rate <= 0 {
		return fmt.Errorf("publish %s %s: how many events, and how many per second", count, perSecond)
	}
	if err := b.fleet.do(client.OpMeasure); err != nil {
		return err
	}
	channels := int64(b.o.Channels)
	at, err := b.publish(*sent, *sent+n*channels, rate*float64(channels))
	if err != nil {
		return err
	}
	*sent += n * channels
	t, all, err := b.settle()
	if err != nil {
		return err
	}
	if !all {
		return fmt.Errorf("%d subscriptions miss events", t.Behind)
	}
	b.delivered(t, at.Start)
	full, _, err := b.fleet.verdict(nil)
	if err != nil {
		return err
	}
	full.Live.Merge(&full.CatchUp)
	l := report.NewLatency(&full.Live)
	s.Seconds, s.Deliveries = b.report.Deliver.Seconds, l.Count
	s.HalfMs, s.P99Ms, s.AllMs = l.P50Ms, l.P99Ms, l.MaxMs
	return nil
}
