package main

func (b *bench) connectThen() error {
	all, err := b.connect()
	if err != nil || !all {
		return err
	}
	switch {
	case b.o.missed > 0:
		return b.storm()
	case b.pub == nil:
		return b.stay()
	}
	return b.publishAll(b.o.events())
}

// connect opens every stream and waits until all positions are fixed. It
// returns false when the time was not enough for that.
func (b *bench) connect() (all bool, err error) {
	start := unixNow()
	if err := b.fleet.do(request{Op: opOpen}); err != nil {
		return false, err
	}
	t, all, err := b.watch(b.ctx, nil, b.o.readyTimeout, pollFast, func(t *tally) bool {
		return t.EverReady+t.Refused >= b.o.subscribers
	})
	if err != nil {
		return false, err
	}
	b.connected(&t, start)
	return all && t.EverReady > 0, nil
}

func (b *bench) connected(t *tally, start int64) {
	seconds := float64(max(t.LastReadyAt-start, 0)) / 1e9
	b.report.Connect = ConnectReport{t.EverReady, seconds, perSecond(int64(t.EverReady), seconds)}
	b.meter.connected(b.report, t.Ready)
}

// stay measures subscribers to whom nothing is published.
func (b *bench) stay() error {
	if err := b.measure(); err != nil {
		return err
	}
	_, _, err := b.watch(b.ctx, nil, b.o.duration, pollSlow, func(*tally) bool { return false })
	b.report.Deliver.Seconds = b.o.duration.Seconds()
	return err
}

// publishAll publishes n events and waits until they have arrived.
func (b *bench) publishAll(n int64) error {
	if err := b.measure(); err != nil {
		return err
	}
	at, err := b.publish(0, n)
	if err != nil {
		return err
	}
	t, _, err := b.settle(at)
	b.delivered(&t, at.Start)
	return err
}

// joinAndPublish publishes from the start, while the subscribers come.
func (b *bench) joinAndPublish() error {
	start := unixNow()
	if err := b.measure(); err != nil {
		return err
	}
	if err := b.fleet.do(request{Op: opOpen}); err != nil {
		return err
	}
	at, err := b.publish(0, b.o.events())
	if err != nil {
		return err
	}
	t, _, err := b.watch(b.ctx, nil, b.o.readyTimeout, pollFast, func(t *tally) bool {
		return t.EverReady+t.Refused >= b.o.subscribers
	})
	if err != nil {
		return err
	}
	b.connected(&t, start)
	t, _, err = b.settle(at)
	b.delivered(&t, at.Start)
	return err
}

// storm lets everybody learn a position and leave, publishes, and lets all come
// back at once.
func (b *bench) storm() error {
	channels := int64(b.o.channels)
	at, err := b.publish(0, channels)
	if err != nil {
		return err
	}
	if _, _, err := b.settle(at); err != nil {
		return err
	}
	if err := b.fleet.do(request{Op: opLeave}); err != nil {
		return err
	}
	if at, err = b.publish(channels, channels*int64(b.o.missed+1)); err != nil {
		return err
	}
	if err := b.measure(); err != nil {
		return err
	}
	start := unixNow()
	if err := b.fleet.do(request{Op: opOpen}); err != nil {
		return err
	}
	t, all, err := b.settle(at)
	if err != nil {
		return err
	}
	s := &StormReport{Missed: b.o.missed, ReadySeconds: float64(max(t.LastReadyAt-start, 0)) / 1e9}
	if all {
		s.Seconds = float64(max(t.LastEventAt-start, 0)) / 1e9
	}
	b.report.Storm = s
	b.delivered(&t, start)
	return nil
}
