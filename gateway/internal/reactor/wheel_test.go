package reactor

import (
	"math/rand/v2"
	"testing"
	"time"
)

// owner is what the tests schedule.
type owner struct{ slot Slot }

// model is what a wheel promises, kept in a map: an owner is reported by no
// Advance before its time, and by the first one that is a tick after it.
type model struct {
	r   *Reactor[owner]
	in  map[*owner]time.Time
	now time.Time // the latest time that the reactor was advanced to
}

func (m *model) add(due time.Time) {
	o := &owner{}
	o.slot = m.r.Add(o)
	m.schedule(o, due)
}

func (m *model) schedule(o *owner, due time.Time) {
	m.r.Schedule(o.slot, Nanos(due))
	if due.Before(m.now) {
		due = m.now // overdue counts from now
	}
	m.in[o] = due
}

// any returns one that is scheduled, nil if none is.
func (m *model) any() *owner {
	for o := range m.in {
		return o
	}
	return nil
}

// advance advances the reactor, with some being scheduled again, and tells what
// was wrong.
func (m *model) advance(now time.Time, random *rand.Rand) (wrong string) {
	again := map[*owner]bool{}
	if now.After(m.now) {
		m.now = now
	}
	m.r.Advance(Nanos(now), func(o *owner) {
		due, in := m.in[o]
		switch {
		case !in:
			wrong = "one that is not scheduled was reported"
		case again[o]:
			wrong = "one that was scheduled again was reported by the same Advance"
		case due.After(now):
			wrong = "one was reported " + due.Sub(now).String() + " early"
		}
		delete(m.in, o)
		if random != nil && random.IntN(3) == 0 {
			again[o] = true
			m.schedule(o, m.now.Add(randomWait(random)))
		} else {
			m.r.Remove(o.slot)
		}
	})
	for o, due := range m.in {
		if now.Sub(due) >= Tick && !again[o] {
			wrong = "one is " + now.Sub(due).String() + " late"
		}
	}
	if n := m.r.Scheduled(); n != len(m.in) {
		wrong = "the wrong number is scheduled"
	}
	return wrong
}

// TestWheelReportsInTime compares a reactor with the model over random operations.
func TestWheelReportsInTime(t *testing.T) {
	for range 200 {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		now := time.Unix(1700000000, random.Int64N(int64(time.Second)))
		m := &model{r: New[owner](Nanos(now)), in: map[*owner]time.Time{}, now: now}
		now = now.Add(time.Duration(random.Int64N(int64(Tick)))) // the ticks need not be the wheel's
		for range 300 {
			switch random.IntN(5) {
			case 0, 1:
				m.add(m.now.Add(randomWait(random)))
			case 2:
				if o := m.any(); o != nil {
					m.r.Remove(o.slot)
					delete(m.in, o)
				}
			case 3:
				if o := m.any(); o != nil {
					m.schedule(o, m.now.Add(randomWait(random)))
				}
			case 4:
				now = now.Add(randomPause(random))
				if err := m.advance(now, random); err != "" {
					t.Fatalf("seed %d: %s", seed, err)
				}
			}
		}
		now = now.Add(100 * wheelSlots * Tick)
		if err := m.advance(now, nil); err != "" || len(m.in) > 0 {
			t.Fatalf("seed %d: after a long pause %d are left in the model; %s", seed, len(m.in), err)
		}
		for i, s := range m.r.wheel.heads {
			if s != 0 {
				t.Fatalf("seed %d: list %d is not empty in the end", seed, i)
			}
		}
	}
}

// randomWait is from a moment ago to several rounds of the wheel.
func randomWait(random *rand.Rand) time.Duration {
	return time.Duration(random.Int64N(int64(3*wheelSlots*Tick))>>random.IntN(12)) - Tick
}

// randomPause is mostly a tick, sometimes as long as a machine sleeps, and
// sometimes a look back.
func randomPause(random *rand.Rand) time.Duration {
	switch random.IntN(10) {
	case 0:
		return time.Duration(random.Int64N(int64(2 * wheelSlots * Tick)))
	case 1:
		return 24 * time.Hour
	case 2:
		return -time.Duration(random.Int64N(int64(5 * Tick)))
	}
	return time.Duration(random.Int64N(int64(2 * Tick)))
}

func newOwners(n int, now time.Time, due func(i int) time.Time) (*Reactor[owner], []owner) {
	r, owners := New[owner](Nanos(now)), make([]owner, n)
	for i := range owners {
		owners[i].slot = r.Add(&owners[i])
		r.Schedule(owners[i].slot, Nanos(due(i)))
	}
	return r, owners
}

func TestWheelAllocatesNothing(t *testing.T) {
	now := time.Now()
	due := func(i int) time.Time { return now.Add(time.Duration(i%300) * Tick) }
	r, owners := newOwners(1000, now, due)
	taken := 0
	again := func(o *owner) { taken++; r.Schedule(o.slot, Nanos(due(taken))) }
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(Tick)
		r.Advance(Nanos(now), again)
		r.Schedule(owners[7].slot, Nanos(now.Add(time.Second)))
	}); n != 0 {
		t.Errorf("%v allocations per tick", n)
	}
	if taken < len(owners) {
		t.Errorf("only %d were reported", taken)
	}
}

// BenchmarkWheel is a tick of a reactor of 10,000 owners that are due every 15 s.
func BenchmarkWheel(b *testing.B) {
	const n, period = 10000, 15 * time.Second
	now := time.Now()
	next := func(int) time.Time { return now.Add(period*4/5 + rand.N(period*2/5)) }
	r, _ := newOwners(n, now, next)
	taken := 0
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(Tick)
		r.Advance(Nanos(now), func(o *owner) { taken++; r.Schedule(o.slot, Nanos(next(0))) })
	}
	b.ReportMetric(float64(taken)/float64(b.N), "owners/op")
}
