package load

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/client"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/clock"
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
	Heartbeats int64   `json:"heartbeats"` // that came so far
	ClientCPU  float64 `json:"client_cpu"` // seconds of processor time of this tool
	Error      string  `json:"error,omitempty"`
}

// StepsCommand is the scenario that is driven from outside.
const StepsCommand = "steps"

// steps carries out the lines of in, answers each by a line of JSON (a Step) on out,
// and judges when in ends:
//
//	connect      open every stream
//	wait         until everybody has a stream again
//	stay 30s     nothing
//	publish 3 1  events of each channel, per second; until everybody has them
//	return 1000  end so many streams at once and open them again
func (b *bench) steps(in io.Reader, out io.Writer) error {
	enc := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan() && b.ctx.Err() == nil; {
		words := append(strings.Fields(lines.Text()), "", "", "")
		s := Step{Step: words[0]}
		if err := b.step(&s, words[1], words[2]); err != nil {
			s.Error = err.Error()
		}
		if err := enc.Encode(s); err != nil {
			return fmt.Errorf("steps: %w", err)
		}
	}
	return b.judge()
}

// step carries out one step.
func (b *bench) step(s *Step, first, second string) (err error) {
	before, start := b.fleet.cpu(), clock.Now()
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
			_, _, err = b.watch(b.ctx, nil, d, report.Every, nil)
			s.Seconds = float64(clock.Now()-start) / 1e9 // on a busy machine more than d
		}
	case "return":
		n, bad := strconv.Atoi(first)
		if err = errors.Join(bad, b.fleet.leave(n)); err == nil {
			t, err = b.everybody(start, s)
		}
	case "publish":
		err = b.publishStep(s, first, second)
	default:
		err = fmt.Errorf("%q is no step", s.Step)
	}
	if t == nil {
		var failed error
		t, failed = b.fleet.status()
		err = errors.Join(err, failed)
	}
	s.Ready, s.Reconnects, s.Heartbeats, s.ClientCPU = t.Ready, t.Reconnects, t.Comments, b.fleet.cpu()-before
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

func (b *bench) publishStep(s *Step, count, perSecond string) error {
	n, err1 := strconv.ParseInt(count, 10, 64)
	rate, err2 := strconv.ParseFloat(perSecond, 64)
	if b.pub == nil || err1 != nil || err2 != nil || n < 1 || rate <= 0 {
		return fmt.Errorf("publish %s %s: how many events, and how many per second", count, perSecond)
	}
	if err := b.fleet.do(client.OpMeasure); err != nil {
		return err
	}
	channels, sent := int64(b.o.Channels), b.pub.total.Load()
	at, err := b.publish(sent, sent+n*channels, rate*float64(channels))
	if err != nil {
		return err
	}
	t, all, err := b.settle()
	if err != nil {
		return err
	}
	if !all {
		return fmt.Errorf("%d subscriptions miss events", t.Behind)
	}
	b.delivered(t, at.start)
	full, err := b.fleet.all(client.Request{Op: client.OpVerdict})
	if err != nil {
		return err
	}
	full.Tally.Live.Merge(&full.Tally.CatchUp)
	l := report.NewLatency(&full.Tally.Live)
	s.Seconds, s.Deliveries = b.report.Deliver.Seconds, l.Count
	s.HalfMs, s.P99Ms, s.AllMs = l.P50Ms, l.P99Ms, l.MaxMs
	return nil
}
