package load

import (
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/client"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/clock"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"
)

// phases connects, does what the options ask for, and disconnects.
func (b *bench) phases() error {
	all, err := b.connect()
	if err != nil {
		return err
	}
	switch {
	case !all:
	case b.o.Missed > 0:
		err = b.storm()
	case b.pub == nil:
		err = b.stay()
	default:
		err = b.publishAll(b.o.events())
	}
	if err != nil {
		return err
	}
	if err := b.judge(); err != nil {
		return err
	}
	if err := b.fleet.leave(b.o.Subscribers); err != nil {
		return err
	}
	clock.Wait(b.ctx, b.o.After)
	b.meter.After(b.report)
	return nil
}

// connect opens every stream and waits until all positions are fixed. It returns
// false when the time was not enough for that.
func (b *bench) connect() (all bool, err error) {
	b.report.Server = b.meter.Before()
	start := clock.Now()
	t, all, err := b.ready()
	if err != nil {
		return false, err
	}
	seconds := float64(max(t.LastReadyAt-start, 0)) / 1e9
	b.report.Connect = report.ConnectReport{Connected: t.EverReady, Seconds: seconds, PerSecond: report.PerSecond(int64(t.EverReady), seconds)}
	b.meter.Connected(b.report, t.Ready)
	return all && t.EverReady > 0, nil
}

// ready connects who is away and waits until everybody who was not refused has a
// stream.
func (b *bench) ready() (*client.Tally, bool, error) {
	if err := b.fleet.do(client.OpOpen); err != nil {
		return nil, false, err
	}
	return b.watch(b.ctx, nil, b.o.ReadyTimeout, pollFast, func(t *client.Tally) bool {
		return t.Ready+t.Refused+t.Ended >= b.o.Subscribers
	})
}

// measure begins the measured phase.
func (b *bench) measure() error {
	t, err := b.fleet.status() // also reads the processor time of worker processes
	if err != nil {
		return err
	}
	b.meter.Measure(b.fleet.cpu(), t.Delivered)
	return b.fleet.do(client.OpMeasure)
}

// stay measures subscribers to whom nothing is published.
func (b *bench) stay() error {
	if err := b.measure(); err != nil {
		return err
	}
	_, _, err := b.watch(b.ctx, nil, b.o.Duration, report.Every, nil)
	b.report.Deliver.Seconds = b.o.Duration.Seconds()
	return err
}

// publishAll publishes n events and waits until they have arrived.
func (b *bench) publishAll(n int64) error {
	if err := b.measure(); err != nil {
		return err
	}
	at, err := b.publish(0, n, b.o.Rate)
	if err != nil {
		return err
	}
	t, _, err := b.settle()
	if err == nil {
		b.delivered(t, at.start)
	}
	return err
}

// delivered notes how long the deliveries up to t took.
func (b *bench) delivered(t *client.Tally, start int64) {
	b.report.Deliver.Seconds = float64(max(t.LastEventAt-start, 0)) / 1e9
}

// storm lets everybody learn a position and leave, publishes, and lets all come
// back at once.
func (b *bench) storm() error {
	channels := int64(b.o.Channels)
	if _, err := b.publish(0, channels, b.o.Rate); err != nil {
		return err
	}
	if _, _, err := b.settle(); err != nil {
		return err
	}
	if err := b.fleet.leave(b.o.Subscribers); err != nil {
		return err
	}
	if _, err := b.publish(channels, channels*int64(b.o.Missed+1), b.o.Rate); err != nil {
		return err
	}
	if err := b.measure(); err != nil {
		return err
	}
	start := clock.Now()
	if err := b.fleet.do(client.OpOpen); err != nil {
		return err
	}
	t, all, err := b.settle()
	if err != nil {
		return err
	}
	s := &report.StormReport{Missed: b.o.Missed, ReadySeconds: float64(max(t.LastReadyAt-start, 0)) / 1e9}
	if all {
		s.Seconds = float64(max(t.LastEventAt-start, 0)) / 1e9
	}
	b.report.Storm = s
	b.delivered(t, start)
	return nil
}
