package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	// pollFast is how often the counts are read while waiting for everybody.
	// Moments are noted by the subscribers, so it does not limit precision.
	pollFast = 25 * time.Millisecond
	// pollSlow is how often they are read, and shown, while events flow.
	pollSlow = time.Second
	// publishLead lets all senders be ready for the first event.
	publishLead = 10 * time.Millisecond
	// repeatGrace is how long to listen on when everybody has everything: an
	// event that comes again would come then.
	repeatGrace = 250 * time.Millisecond
	// removeTimeout bounds the removal of the run's streams.
	removeTimeout = 15 * time.Second
)

// bench is one run. Its methods are called by one goroutine.
type bench struct {
	ctx     context.Context // ended by the user: stop early, and still judge
	o       *options
	run     string
	fleet   *fleet
	sink    sink       // nil with -publish none
	pub     *publisher // nil with -publish none
	errors  func() int64
	report  *Report
	meter   *meter
	show    *progress
	checked bool // expectations were set, so that losses are known
}

// runBench makes a run and returns its report. An error means that there is
// nothing to report.
func runBench(ctx context.Context, o *options, stderr io.Writer) (*Report, error) {
	b := &bench{
		ctx: ctx, o: o, run: hex.EncodeToString(newRun()),
		meter: &meter{pids: o.pids, stderr: stderr},
		show:  newProgress(stderr, o.quiet),
	}
	cfg := o.workerConfig(b.run)
	b.report = &Report{
		Scenario: o.scenario, Run: b.run, Addresses: cfg.Targets, Subscribers: o.subscribers,
		Channels: o.channels, SizeBytes: o.size, Failures: []string{},
	}
	if err := b.openSink(&cfg); err != nil {
		return nil, err
	}
	if b.sink != nil {
		defer b.closeSink(stderr)
	}
	var err error
	if b.fleet, err = newFleet(cfg, o.processes); err != nil {
		return nil, err
	}
	defer b.fleet.close()
	if err := b.phases(); err != nil {
		return nil, err
	}
	b.report.judge(o.noGaps)
	return b.report, nil
}

func newRun() []byte {
	n := rand.Uint32()
	return []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
}

func (b *bench) openSink(cfg *workerConfig) error {
	o := b.o
	names := make([]string, o.channels)
	for i := range names {
		names[i] = cfg.channelName(i)
	}
	switch o.publish {
	case publishNone:
		return nil
	case publishRedis:
		s, err := newRedisSink(o.redis, o.publishers)
		if err != nil {
			return err
		}
		if err := s.check(b.ctx); err != nil {
			return errors.Join(err, s.close())
		}
		s.run, s.size, s.maxLen = b.run, o.size, o.maxLen
		for _, n := range names {
			s.keys = append(s.keys, o.prefix+n)
		}
		b.sink, b.errors = s, s.errors.Load
	case publishHTTP:
		s := newHTTPSink(o.publishers)
		s.run, s.size = b.run, o.size
		for _, n := range names {
			s.urls = append(s.urls, publishURL(o.publishURL, n))
		}
		b.sink, b.errors = s, s.errors.Load
	}
	subscribers := make([]int64, o.channels)
	for i := range o.subscribers {
		for c := range o.each {
			subscribers[cfg.channelOf(i, c)]++
		}
	}
	b.pub = newPublisher(b.sink, o.channels, o.publishers, subscribers)
	if cfg.joining() || o.publish == publishRedis {
		b.pub.ids = make([]idLog, o.channels)
	}
	return nil
}

// closeSink removes the run's streams, if they are surely its own, and closes.
func (b *bench) closeSink(stderr io.Writer) {
	if r, ok := b.sink.(*redisSink); ok && !b.o.keep && strings.Contains(b.o.channelName, "{run}") {
		ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
		defer cancel()
		if err := r.remove(ctx); err != nil {
			fmt.Fprintln(stderr, "sse-bench:", err)
		}
	}
	_ = b.sink.close() // everything has been acknowledged
}

// phases connects, does what the options ask for, and disconnects.
func (b *bench) phases() error {
	b.report.Server = b.meter.before()
	var err error
	switch {
	case b.o.join > 0 && b.pub != nil:
		err = b.joinAndPublish()
	default:
		err = b.connectThen()
	}
	if err != nil {
		return err
	}
	has, err := b.askRedis()
	if err != nil {
		return err
	}
	v, err := b.fleet.verdict(has)
	if err != nil {
		return err
	}
	b.report.setVerdict(v, b.checked)
	b.meter.finish(b.report, v, b.fleet.cpu())
	if err := b.fleet.do(request{Op: opLeave}); err != nil {
		return err
	}
	wait(b.ctx, b.o.after)
	b.meter.after(b.report)
	return nil
}

// measure begins the measured phase.
func (b *bench) measure() error {
	t, err := b.fleet.status() // also reads the processor time of worker processes
	if err != nil {
		return err
	}
	if err := b.fleet.do(request{Op: opMeasure}); err != nil {
		return err
	}
	b.meter.measure(b.fleet.cpu(), t.Delivered)
	return nil
}

// publish sends the events from to to-1 and returns their schedule.
func (b *bench) publish(from, to int64) (schedule, error) {
	at := schedule{unixNow() + int64(publishLead), b.o.rate, b.o.channels}
	before := b.pub.total.Load()
	done := make(chan struct{})
	var failed error
	go func() {
		defer close(done)
		failed = b.pub.run(b.ctx, at, from, to)
	}()
	_, _, err := b.watch(b.ctx, done, 0, pollSlow, nil)
	<-done
	if failed != nil {
		b.report.Failures = append(b.report.Failures, failed.Error())
	}
	late := b.pub.lateness()
	n := b.pub.total.Load() - before
	seconds := float64(unixNow()-at.Start) / 1e9
	b.report.Publish = &PublishReport{
		Events: n, Seconds: seconds, PerSecond: perSecond(n, seconds), Errors: b.errors(),
		LateP99Ms: float64(late.quantile(0.99)) * msPerNs, LateMaxMs: float64(late.max) * msPerNs,
	}
	return at, err
}

// settle waits until everybody has everything that was published, and a little
// longer for what might come twice. all is false when that did not happen, not
// even over -grace. A run that the user has stopped settles too, or its losses
// would prove nothing.
func (b *bench) settle(at schedule) (t tally, all bool, err error) {
	b.checked = true
	req := request{Op: opExpect, Published: b.pub.published(), Schedule: at}
	if b.pub.ids != nil {
		if req.Bases, err = b.fleet.positions(); err != nil {
			return t, false, err
		}
		b.pub.resolve(req.Bases)
	}
	err = b.fleet.do(req)
	if err != nil {
		return t, false, err
	}
	complete := func(t *tally) bool { return t.Behind == 0 }
	t, all, err = b.watch(context.Background(), nil, b.o.settle, pollFast, complete)
	if err == nil && !all {
		t, all, err = b.waitOn(&t, complete)
	}
	if all {
		time.Sleep(repeatGrace)
	}
	return t, all, err
}

// waitOn waits for what has not arrived in time, so that the verdict can tell
// late from lost.
func (b *bench) waitOn(missing *tally, complete func(*tally) bool) (t tally, all bool, err error) {
	if err := b.fleet.do(request{Op: opOverdue}); err != nil {
		return t, false, err
	}
	b.show.overdue(missing.Behind, b.o.settle, b.o.grace)
	return b.watch(context.Background(), nil, b.o.grace, pollFast, complete)
}

// delivered notes how long the deliveries up to t took.
func (b *bench) delivered(t *tally, start int64) {
	b.report.Deliver.Seconds = float64(max(t.LastEventAt-start, 0)) / 1e9
}

// watch reads and shows the counts every so often, until enough says so (true),
// done is closed, the limit has passed (0 for none), or ctx ends.
func (b *bench) watch(ctx context.Context, done <-chan struct{}, limit, poll time.Duration, enough func(*tally) bool) (tally, bool, error) {
	deadline := time.Now().Add(limit)
	for {
		t, err := b.fleet.status()
		if err != nil {
			return t, false, err
		}
		b.show.tick(&t, b.pub)
		if enough != nil && enough(&t) {
			return t, true, nil
		}
		next := poll
		if limit > 0 || done == nil {
			next = min(next, time.Until(deadline))
		}
		if next <= 0 {
			return t, false, nil
		}
		timer := time.NewTimer(next)
		select {
		case <-done:
			timer.Stop()
			return t, false, nil
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return t, false, nil
		}
	}
}

func perSecond(n int64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(n) / seconds
}
