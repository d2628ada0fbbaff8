package feed

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/revocation"
	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store"
)

// Store is what the follower needs of package store.
type Store interface {
	// Subscribe is store.Store.Subscribe.
	Subscribe(ctx context.Context, channel string, w store.Waker) (*store.Subscription, error)
}

const (
	// retryEvery is how long the follower waits after an error of Redis, and how
	// often it looks whether Redis is back; up to half as long again, so that
	// replicas do not act in step.
	retryEvery = 200 * time.Millisecond
	// batchBytes is how much of the stream is taken at once.
	batchBytes = 256 << 10
	// lossesEvery is how often revocations that do not count are logged at most.
	lossesEvery = 10 * time.Second
)

// Follower keeps its list as the stream of revocations has it. Ready may be called
// concurrently.
type Follower struct {
	*revocation.List
	store   Store
	metrics *metrics.Revocations
	log     *slog.Logger

	signal chan struct{} // capacity 1: there may be something new
	fresh  atomic.Bool   // see Ready

	// Owned by Run.
	sub    *store.Subscription
	cursor store.Cursor
	fault  string // the last error that was logged
	lost   losses // not logged yet
}

// losses are revocations that do not count. They are logged in one line for all of
// lossesEvery, as a million may come at once.
type losses struct {
	useless, dropped int
	first            store.ID  // of the useless
	fault            error     // its own
	loggedAt         time.Time // when others were logged
}

// NewFollower returns a follower that keeps list once Run is called.
func NewFollower(list *revocation.List, s Store, m *metrics.Revocations, log *slog.Logger) *Follower {
	return &Follower{List: list, store: s, metrics: m, log: log, signal: make(chan struct{}, 1)}
}

// Ready reports whether the list has all that the stream had at some time since
// Redis was last known to be away.
func (f *Follower) Ready() (ok bool, reason string) {
	if f.fresh.Load() {
		return true, ""
	}
	return false, "the revocations have not been read yet"
}

// Wake implements store.Waker.
func (f *Follower) Wake(bool) {
	select {
	case f.signal <- struct{}{}:
	default:
	}
}

// Run follows the stream until ctx ends. It must be called once. What Redis does
// is never a reason to return.
func (f *Follower) Run(ctx context.Context) {
	defer func() {
		if f.sub != nil {
			f.sub.Close()
		}
	}()
	for ctx.Err() == nil {
		err := f.advance(ctx)
		f.report(ctx, err)
		var retry <-chan time.Time
		if err != nil {
			retry = time.After(retryEvery + rand.N(retryEvery/2))
		} else if f.lost.useless+f.lost.dropped > 0 {
			retry = time.After(lossesEvery)
		}
		select {
		case <-ctx.Done():
		case <-f.signal:
		case <-retry:
		}
	}
}

// errAway means that Redis counts as away, so that nothing new can be known.
var errAway = errors.New("redis is unreachable")

// advance reads the stream to its end. Without an error the list is fresh, until
// the waker is called.
func (f *Follower) advance(ctx context.Context) error {
	if f.sub == nil {
		if err := f.open(ctx); err != nil {
			return err
		}
	}
	if _, stalled := f.sub.Stalled(); stalled {
		f.fresh.Store(false)
		return errAway
	}
	if err := f.read(ctx); err != nil {
		return err
	}
	if f.fresh.Load() {
		return nil
	}
	// The tail may not have compared what it has with the stream since Redis came
	// back, or since the subscription began: ask Redis how far the stream is.
	newest, err := f.sub.Newest(ctx)
	if err != nil {
		return err
	}
	if err := f.read(ctx); err != nil {
		return err
	}
	if f.cursor.Pos().Less(newest) {
		return errBehind
	}
	if _, stalled := f.sub.Stalled(); stalled {
		return errAway
	}
	f.SetKnown()
	f.fresh.Store(true)
	return nil
}

// errBehind means that the tail has not read up to the end of the stream.
var errBehind = errors.New("not all revocations have been read")

// open subscribes, with the cursor at the beginning of the stream.
func (f *Follower) open(ctx context.Context) error {
	sub, err := f.store.Subscribe(ctx, Channel, f)
	if err != nil {
		return err
	}
	cursor, err := sub.Last(ctx, math.MaxInt)
	if err != nil {
		sub.Close()
		return err
	}
	f.sub, f.cursor = sub, cursor
	return nil
}

// read applies what there is after the cursor.
func (f *Follower) read(ctx context.Context) error {
	defer f.logLosses()
	for {
		batch, state := f.cursor.Next(batchBytes)
		if state == store.Behind {
			var err error
			if batch, err = f.cursor.Fetch(ctx); err != nil {
				return err
			}
		}
		f.apply(batch)
		if state == store.UpToDate {
			return nil
		}
	}
}

// apply adds the revocations of a batch.
func (f *Follower) apply(batch store.Batch) {
	if gap := batch.Gap; gap != nil && gap.Reason == metrics.GapTrimmed {
		f.missed(gap.Resumed)
	}
	for i := range batch.Entries {
		e := &batch.Entries[i]
		if e.Kind == store.KindTrimmed {
			f.missed(e.ID)
			continue
		}
		r, err := parse(e)
		if err != nil {
			if f.lost.useless++; f.lost.useless == 1 {
				f.lost.first, f.lost.fault = e.ID, err
			}
			f.metrics.Lost.WithLabelValues(metrics.RevocationUseless).Inc()
			continue
		}
		if dropped := f.Add(r); dropped > 0 {
			f.lost.dropped += dropped
			f.metrics.Lost.WithLabelValues(metrics.RevocationDropped).Add(float64(dropped))
		}
	}
}

// logLosses logs what does not count, unless it has just done so.
func (f *Follower) logLosses() {
	now := time.Now()
	if f.lost.useless+f.lost.dropped == 0 || now.Sub(f.lost.loggedAt) < lossesEvery {
		return
	}
	if f.lost.useless > 0 {
		f.log.Warn("revocations that are no use are ignored", "count", f.lost.useless, "first", f.lost.first.String(), "error", f.lost.fault)
	}
	if f.lost.dropped > 0 {
		f.log.Error("there are more revocations than a replica keeps, those with the earliest until were dropped", "dropped", f.lost.dropped, "max", revocation.MaxRevocations)
	}
	f.lost = losses{loggedAt: now}
}

// missed tells of entries up to an id that retention has removed unread. What was
// known stays.
func (f *Follower) missed(upTo store.ID) {
	f.metrics.Lost.WithLabelValues(metrics.RevocationMissed).Inc()
	f.log.Error("revocations were trimmed from the stream before this replica read them: the stream has to keep each until its until", "up_to", upTo.String())
}

// report logs an error that is not the last one.
func (f *Follower) report(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err == nil:
		if f.fault != "" {
			f.log.Info("the revocations are read again")
		}
		f.fault = ""
	case errors.Is(err, errBehind), errors.Is(err, store.ErrStale): // for a moment
	case f.fault != err.Error():
		f.fault = err.Error()
		f.log.Warn("the revocations cannot be read", "error", err)
	}
}
