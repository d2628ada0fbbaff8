package gateway

import (
	"math/rand/v2"
	"testing"
	"time"
)

// naiveWheel is what a wheel promises, kept in a map: what was put in is taken
// by no advance before its time, and by the first one that is a tick after it.
type naiveWheel struct {
	in  map[*stream]time.Time
	now time.Time // the latest time that the wheel was advanced to
}

// TestWheel compares a wheel with the naive one over random operations.
func TestWheel(t *testing.T) {
	for range 200 {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		now := time.Unix(1700000000, random.Int64N(int64(time.Second)))
		w, model := newWheel(monotonic(now)), &naiveWheel{in: map[*stream]time.Time{}, now: now}
		now = now.Add(time.Duration(random.Int64N(int64(wheelTick)))) // the ticks need not be the wheel's
		for range 300 {
			switch random.IntN(4) {
			case 0, 1:
				model.add(w, &stream{}, model.now.Add(randomWait(random)))
			case 2:
				for s := range model.in {
					w.remove(s)
					delete(model.in, s)
					break
				}
			case 3:
				now = now.Add(randomPause(random))
				if err := model.advance(w, now, random); err != "" {
					t.Fatalf("seed %d: %s", seed, err)
				}
			}
		}
		now = now.Add(100 * wheelSlots * wheelTick)
		if err := model.advance(w, now, nil); err != "" || len(model.in) > 0 {
			t.Fatalf("seed %d: after a long pause %d are left in the model; %s", seed, len(model.in), err)
		}
		for i, s := range w.slots {
			if s != nil {
				t.Fatalf("seed %d: slot %d is not empty in the end", seed, i)
			}
		}
	}
}

func (m *naiveWheel) add(w *wheel, s *stream, due time.Time) {
	w.add(s, monotonic(due))
	if due.Before(m.now) {
		due = m.now // overdue counts from now
	}
	m.in[s] = due
}

// advance advances the wheel, with some being put in again, and tells what was
// wrong.
func (m *naiveWheel) advance(w *wheel, now time.Time, random *rand.Rand) (wrong string) {
	again := map[*stream]bool{}
	if now.After(m.now) {
		m.now = now
	}
	w.advance(monotonic(now), func(s *stream) {
		due, in := m.in[s]
		switch {
		case !in:
			wrong = "one that is not in was taken"
		case again[s]:
			wrong = "one that was put in again was taken by the same advance"
		case due.After(now):
			wrong = "one was taken " + due.Sub(now).String() + " early"
		}
		delete(m.in, s)
		if random != nil && random.IntN(3) == 0 {
			again[s] = true
			m.add(w, s, m.now.Add(randomWait(random)))
		}
	})
	for s, due := range m.in {
		if now.Sub(due) >= wheelTick && !again[s] {
			wrong = "one is " + now.Sub(due).String() + " late"
		}
	}
	return wrong
}

// randomWait is from a moment ago to several turns of the wheel.
func randomWait(random *rand.Rand) time.Duration {
	return time.Duration(random.Int64N(int64(3*wheelSlots*wheelTick))>>random.IntN(12)) - wheelTick
}

// randomPause is mostly a tick, sometimes as long as a machine sleeps, and
// sometimes a look back.
func randomPause(random *rand.Rand) time.Duration {
	switch random.IntN(10) {
	case 0:
		return time.Duration(random.Int64N(int64(2 * wheelSlots * wheelTick)))
	case 1:
		return 24 * time.Hour
	case 2:
		return -time.Duration(random.Int64N(int64(5 * wheelTick)))
	}
	return time.Duration(random.Int64N(int64(2 * wheelTick)))
}

func TestWheelAllocatesNothing(t *testing.T) {
	now := time.Now()
	w := newWheel(monotonic(now))
	streams := make([]stream, 1000)
	wait := func(i int) time.Duration { return time.Duration(i%300) * wheelTick }
	for i := range streams {
		w.add(&streams[i], monotonic(now.Add(wait(i))))
	}
	taken := 0
	again := func(s *stream) { taken++; w.add(s, monotonic(now.Add(wait(taken)))) }
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(wheelTick)
		w.advance(monotonic(now), again)
		w.remove(&streams[7])
		w.add(&streams[7], monotonic(now.Add(time.Second)))
	}); n != 0 {
		t.Errorf("%v allocations per tick", n)
	}
	if taken < len(streams) {
		t.Errorf("only %d were taken", taken)
	}
}

// BenchmarkWheel is a tick of a shard of 10,000 streams with a heartbeat of
// 15 s each, and its share of the reschedules.
func BenchmarkWheel(b *testing.B) {
	const n, heartbeats = 10000, 15 * time.Second
	now := time.Now()
	w := newWheel(monotonic(now))
	streams := make([]stream, n)
	for i := range streams {
		w.add(&streams[i], monotonic(now.Add(jitter(heartbeats))))
	}
	taken := 0
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(wheelTick)
		w.advance(monotonic(now), func(s *stream) {
			taken++
			w.add(s, monotonic(now.Add(jitter(heartbeats))))
		})
	}
	b.ReportMetric(float64(taken)/float64(b.N), "streams/op")
}
