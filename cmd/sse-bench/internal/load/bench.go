package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/client"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/clock"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"
)

const (
	// pollFast is how often the counts are read while waiting for everybody.
	// Moments are noted by the subscribers, so it does not limit precision.
	pollFast = 25 * time.Millisecond
	// pollShare bounds what reading the counts takes of the time: with a million
	// streams it is no moment. pollSlow is how rarely they are read at most: one answer
	// that a stopped machine held up must not blind the run for a minute.
	pollShare = 20
	pollSlow  = 5 * time.Second
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
	o       *Options
	run     string // tells its events and streams from those of other runs
	fleet   *fleet
	sink    sink       // nil with --publish=none
	pub     *publisher // nil with --publish=none
	errors  func() int64
	report  *report.Report
	meter   *report.Meter
	show    *report.Progress
	checked bool // expectations were set, so that losses are known
}

// Run makes a run of a scenario and returns its report. When ctx ends it stops
// early, and still judges. An error means that there is nothing to report. in and out
// are those of the scenario StepsCommand alone.
func Run(ctx context.Context, scenario string, o *Options, in io.Reader, out, stderr io.Writer) (*report.Report, error) {
	b, err := open(ctx, scenario, o, stderr)
	if err != nil {
		return nil, err
	}
	defer b.close(stderr)
	if scenario == StepsCommand {
		err = b.steps(in, out)
	} else {
		err = b.phases()
	}
	if err != nil {
		return nil, err
	}
	b.report.Judge(o.NoGaps)
	return b.report, nil
}

func open(ctx context.Context, scenario string, o *Options, stderr io.Writer) (*bench, error) {
	b := &bench{
		ctx: ctx, o: o, run: fmt.Sprintf("%08x", rand.Uint32()),
		meter: &report.Meter{Pids: o.Pids, Stderr: stderr},
		show:  report.NewProgress(stderr, o.Quiet),
	}
	cfg := o.config(b.run)
	b.report = &report.Report{
		Scenario: scenario, Run: b.run, Addresses: cfg.Targets, Subscribers: o.Subscribers,
		Channels: o.Channels, SizeBytes: o.Size, Failures: []string{},
	}
	if err := b.openSink(&cfg); err != nil {
		return nil, err
	}
	var err error
	if b.fleet, err = newFleet(cfg, o.Processes); err != nil {
		b.closeSink(stderr)
		return nil, err
	}
	return b, nil
}

func (b *bench) close(stderr io.Writer) {
	b.show.Done()
	b.fleet.close()
	b.closeSink(stderr)
}

func (b *bench) openSink(cfg *client.Config) error {
	o, senders := b.o, redisPublishers
	switch o.Publish {
	case publishNone:
		return nil
	case publishRedis:
		s, err := newRedisSink(o.Redis)
		if err != nil {
			return err
		}
		if err := s.client.Ping(b.ctx).Err(); err != nil {
			return errors.Join(fmt.Errorf("redis: %w", err), s.close())
		}
		s.run, s.size, s.data, s.maxLen = b.run, o.Size, o.payload(b.run), o.Maxlen
		for i := range o.Channels {
			s.keys = append(s.keys, o.Prefix+cfg.Name(i))
		}
		b.sink, b.errors = s, s.errors.Load
	case publishHTTP:
		s := newHTTPSink(httpPublishers)
		senders = httpPublishers
		s.data = o.payload(b.run)
		for i := range o.Channels {
			s.urls = append(s.urls, strings.ReplaceAll(o.PublishURL, client.ChannelMark, url.QueryEscape(cfg.Name(i))))
		}
		b.sink, b.errors = s, s.errors.Load
	}
	subscribers := make([]int64, o.Channels)
	for i := range o.Subscribers {
		for c := range o.ChannelsEach {
			subscribers[cfg.ChannelOf(i, c)]++
		}
	}
	b.pub = newPublisher(b.sink, o.Channels, senders, subscribers)
	if o.Publish == publishRedis {
		b.pub.ids = make([]integrity.IDLog, o.Channels)
	}
	return nil
}

// closeSink removes the run's streams, if they are surely its own, and closes.
func (b *bench) closeSink(stderr io.Writer) {
	if b.sink == nil {
		return
	}
	if r, ok := b.sink.(*redisSink); ok && strings.Contains(b.o.Channel, "{run}") {
		ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
		defer cancel()
		if err := r.remove(ctx); err != nil {
			fmt.Fprintln(stderr, "sse-bench:", err)
		}
	}
	_ = b.sink.close() // everything has been acknowledged
}

// publish sends the events from to to-1, at a rate, and waits until all are sent.
func (b *bench) publish(from, to int64, rate float64) (schedule, error) {
	at := schedule{clock.Now() + int64(publishLead), rate}
	before := b.pub.total.Load()
	done := make(chan struct{})
	var failed error
	go func() {
		defer close(done)
		failed = b.pub.run(b.ctx, at, from, to)
	}()
	_, _, err := b.watch(b.ctx, done, 0, report.Every, nil)
	<-done
	if failed != nil {
		b.report.Failures = append(b.report.Failures, failed.Error())
	}
	n := b.pub.total.Load() - before
	seconds := float64(clock.Now()-at.start) / 1e9
	late := report.NewLatency(&b.pub.late) // its senders have ended
	b.report.Publish = &report.PublishReport{
		Events: n, Seconds: seconds, PerSecond: report.PerSecond(n, seconds), Errors: b.errors(),
		LateP99Ms: late.P99Ms, LateMaxMs: late.MaxMs,
	}
	return at, err
}

// settle waits until everybody has everything that was published, and a little
// longer for what might come twice. all is false when that did not happen, not
// even over --grace. A run that the user has stopped settles too, or its losses
// would prove nothing.
func (b *bench) settle() (t *client.Tally, all bool, err error) {
	b.checked = true
	if _, err = b.fleet.all(client.Request{Op: client.OpExpect, Published: b.pub.published()}); err != nil {
		return nil, false, err
	}
	complete := func(t *client.Tally) bool { return t.Behind == 0 }
	t, all, err = b.watch(context.Background(), nil, b.o.Settle, pollFast, complete)
	if err == nil && !all {
		// What comes from now on is late, what does not is lost.
		if err := b.fleet.do(client.OpOverdue); err != nil {
			return t, false, err
		}
		b.show.Say("%d subscriptions are behind after --settle=%s; what comes within --grace=%s is late", t.Behind, b.o.Settle, b.o.Grace)
		t, all, err = b.watch(context.Background(), nil, b.o.Grace, pollFast, complete)
	}
	if all {
		time.Sleep(repeatGrace)
	}
	return t, all, err
}

// watch reads and shows the counts every so often, until enough says so (true),
// done is closed, the limit has passed (0 for none), or ctx ends.
func (b *bench) watch(ctx context.Context, done <-chan struct{}, limit, poll time.Duration, enough func(*client.Tally) bool) (*client.Tally, bool, error) {
	deadline := time.Now().Add(limit)
	for {
		asked := time.Now()
		t, err := b.fleet.status()
		if err != nil {
			return t, false, err
		}
		c := report.Counts{Connected: t.Ready, Delivered: t.Delivered, Worst: time.Duration(t.Worst)}
		if b.pub != nil {
			c.Published, c.Expected = b.pub.total.Load(), b.pub.expected.Load()
		}
		b.show.Tick(c)
		if enough != nil && enough(t) {
			return t, true, nil
		}
		next := max(poll, min(pollShare*time.Since(asked), pollSlow))
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

// judge asks Redis and the subscribers, and fills in what they found.
func (b *bench) judge() error {
	has, err := b.askRedis()
	if err != nil {
		return err
	}
	judged, err := b.fleet.all(client.Request{Op: client.OpVerdict, Retained: has})
	if err != nil {
		return err
	}
	r, t, v := b.report, judged.Tally, judged.Verdict
	r.Deliver.Events, r.Deliver.Bytes, r.Deliver.Foreign = t.Delivered, t.Bytes, t.Foreign
	if t.CatchUp.Count() > 0 {
		live := report.NewLatency(&t.Live)
		r.Live = &live
		t.Live.Merge(&t.CatchUp)
	}
	r.Latency = report.NewLatency(&t.Live)
	r.Integrity = report.IntegrityReport{
		Checked: b.checked, Lost: v.Lost, Late: v.Late, LateMaxMs: float64(v.LateBy) / float64(time.Millisecond),
		Repeated: v.Repeated, OutOfOrder: v.Disorder, Misrouted: t.Misrouted, Gapped: v.Gapped,
		Gaps: t.Gaps(), GapChannels: t.GapChannels, Affected: v.Affected, Examples: append([]string{}, v.Examples...),
		Reconnects: t.Reconnects, Ends: t.Ends, Ended: t.Ended, Refused: t.Refused, Refusals: t.Refusals, Faults: t.Faults,
	}
	if r.Storm != nil && v.Lost+v.Gapped > 0 {
		r.Storm.Seconds = 0 // the last event came, but not all before it
	}
	b.meter.Finish(r, t.Delivered, b.fleet.cpu())
	return nil
}

// askRedis returns what Redis has of the channels in which a gap stands for
// missing events; nil if it was not Redis that was published to. A Redis that does
// not tell makes the run fail.
func (b *bench) askRedis() (map[int]*integrity.Retained, error) {
	s, ok := b.sink.(*redisSink)
	if !ok || !b.checked {
		return nil, nil
	}
	found, err := b.fleet.all(client.Request{Op: client.OpGapped})
	if err != nil {
		return nil, err
	}
	has := map[int]*integrity.Retained{}
	for channel, ids := range found.Gapped {
		r := &integrity.Retained{Places: map[string]integrity.Place{}}
		log := b.pub.ids[channel]
		if r.Numbers, err = s.retained(channel, log); err != nil {
			b.report.Failures = append(b.report.Failures, fmt.Sprintf("gaps were announced, and what Redis still has is not known: %v", err))
			return nil, nil
		}
		for text := range ids {
			if id, ok := integrity.ParseEntryID(text); ok {
				r.Places[text] = log.Place(id, b.pub.sent[channel].Load())
			}
		}
		has[channel] = r
	}
	return has, nil
}
