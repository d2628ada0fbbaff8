package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// chaosLong is how long the long form (SSE_CHAOS=long) goes on making faults.
const chaosLong = 4 * time.Minute

// Whatever happens to the replicas, to the load balancer and to Redis, as long
// as Redis keeps its data every subscriber gets every event once and in order,
// is told of no gap, and is never turned away for good: with compression and without.
func TestChaosRolling(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	subscribers, squeezed, rate := 100, 20, 100
	if s.long {
		subscribers, squeezed, rate = 1000, 50, 500
	}
	r := redistest.Start(t, redistest.WithAOF())
	s.startReplicas(3, r.URL(), "SSE_COMPRESSION=gzip")
	s.startBalancer()
	target := []string{"--gateway", "http://" + s.balancer.addr, "--redis", r.URL(), "--no-gaps"}
	l := s.startLoad(append(target, "--subscribers", strconv.Itoa(subscribers), "--channels", "50", "--rate", strconv.Itoa(rate))...)
	compressed := s.startLoad(append(target, "--compressed", "--data=json", "--size=500",
		"--subscribers", strconv.Itoa(squeezed), "--channels", "5", "--channels-each", "2", "--rate", "20")...)
	l.awaitConnected(subscribers)
	compressed.awaitConnected(squeezed)

	f := &faults{stage: s, redis: r, load: l, subscribers: subscribers}
	if s.long {
		f.atRandom(chaosLong)
	} else {
		f.eachOnce()
	}

	l.awaitConnected(subscribers)
	compressed.awaitConnected(squeezed)
	code, report := compressed.finish()
	compressed.requireIntact(code, report)
	code, report = l.finish()
	l.requireIntact(code, report)
	// Every subscriber was on a replica that was rolled or killed.
	if n := report.Integrity.Reconnects; n < int64(subscribers) {
		t.Errorf("%d reconnects of %d subscribers: the faults did not happen", n, subscribers)
	}
	if want := report.Publish.Events * int64(subscribers/50); report.Deliver.Events != want {
		t.Errorf("%d deliveries, want %d", report.Deliver.Events, want)
	}
}

// faults is what happens to a stage and its Redis. Its methods belong on the
// test's goroutine.
type faults struct {
	*stage
	redis       *redistest.Server
	load        *underLoad
	subscribers int
	rng         *rand.Rand
}

// eachOnce is the short form: each fault, one after the other.
func (f *faults) eachOnce() {
	f.t.Helper()
	const while = 1500 * time.Millisecond
	crash := func() error { return f.redisCrash(while) }
	// Whoever finds no gateway ready is told to come back in 5 to 15 s. The rolls
	// take longer.
	f.do("kill -9 gateway-2, gateway-3 and Redis at once", func() error {
		return f.together(crash, f.replicas[1].crash, f.replicas[2].crash)
	})
	for _, r := range f.replicas {
		f.do("roll "+r.name, r.roll)
	}
	f.load.awaitConnected(f.subscribers)
	for _, step := range []struct {
		what  string
		fault func() error
	}{
		{"kill -9 gateway-1", f.replicas[0].crash},
		{"kill -9 Redis, restart with its data", crash},
		{"cut the connections to Redis", f.redisCut},
		{"SIGSTOP Redis", func() error { return f.redisFreeze(while) }},
		{"SIGSTOP gateway-2", func() error { return f.replicas[1].freeze(while) }},
		{"reload HAProxy", f.balancer.reload},
		{"restart HAProxy", f.balancer.restart},
	} {
		f.do(step.what, step.fault)
		f.load.awaitConnected(f.subscribers)
	}
}

// atRandom is the long form: faults at random, up to three at once, from a seed
// that is noted (SSE_CHAOS_SEED repeats it).
func (f *faults) atRandom(long time.Duration) {
	f.t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SSE_CHAOS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			f.t.Fatalf("SSE_CHAOS_SEED: %v", err)
		}
	}
	f.note("SSE_CHAOS_SEED=%d", seed)
	f.rng = rand.New(rand.NewPCG(seed, 0))
	for round, start := 1, time.Now(); time.Since(start) < long; round++ {
		f.round(round)
		// The load in between, for the next fault to find everybody busy.
		if err := f.lasts(f.upTo(2 * time.Second)); err != nil {
			f.t.Fatal(err)
		}
	}
}

// round makes one fault of a replica, and with it often one of Redis or of the
// load balancer.
func (f *faults) round(n int) {
	f.t.Helper()
	order := f.rng.Perm(len(f.replicas))
	a, b := f.replicas[order[0]], f.replicas[order[1]]
	while := time.Second + f.upTo(8*time.Second)
	var names [2]string
	first, second := a.roll, func() error { return nil }
	switch f.rng.IntN(7) {
	case 0, 1:
		names[0] = "roll " + a.name
	case 2, 3:
		names[0], first = "kill -9 "+a.name, a.crash
	case 4:
		names[0], first = fmt.Sprintf("SIGSTOP %s for %v", a.name, while), func() error { return a.freeze(while) }
	case 5:
		names[0] = "kill -9 " + a.name + " and " + b.name
		first = func() error { return f.together(a.crash, b.crash) }
	case 6:
		names[0] = "kill -9 all replicas"
		first = func() error { return f.together(f.replicas[0].crash, f.replicas[1].crash, f.replicas[2].crash) }
	}
	switch f.rng.IntN(8) {
	case 0, 1:
		down := f.upTo(3 * time.Second)
		names[1] = fmt.Sprintf("kill -9 Redis, restart with its data after %v", down)
		second = func() error { return f.redisCrash(down) }
	case 2:
		names[1], second = fmt.Sprintf("SIGSTOP Redis for %v", while), func() error { return f.redisFreeze(while) }
	case 3:
		names[1], second = "cut the connections to Redis", f.redisCut
	case 4:
		names[1], second = "reload HAProxy", f.balancer.reload
	case 5:
		names[1], second = "restart HAProxy", f.balancer.restart
	}
	what := strings.TrimSuffix(fmt.Sprintf("round %d: %s; %s", n, names[0], names[1]), "; ")
	f.do(what, func() error { return f.together(second, first) })
}

// together does things at the same time, the first of them, which may be one of
// Redis, on the test's goroutine.
func (f *faults) together(here func() error, others ...func() error) error {
	errs := make(chan error, len(others))
	for _, o := range others {
		go func() { errs <- o() }()
	}
	err := here()
	for range others {
		if e := <-errs; err == nil {
			err = e
		}
	}
	return err
}

func (f *faults) upTo(d time.Duration) time.Duration { return time.Duration(f.rng.Int64N(int64(d))) }

// lasts returns when the time is over, which is a fault's length, or with an
// error as soon as the load that is to feel it has ended.
func (f *faults) lasts(d time.Duration) error {
	select {
	case <-f.load.done:
		return errors.New("the load ended before the fault did")
	case <-time.After(d):
		return nil
	}
}

func (f *faults) redisCrash(down time.Duration) error {
	f.redis.Kill()
	defer f.redis.Restart()
	return f.lasts(down)
}

func (f *faults) redisFreeze(while time.Duration) error {
	f.redis.Pause()
	defer f.redis.Resume()
	return f.lasts(while)
}

// redisCut ends every connection to Redis: that of each tail, those that read
// history, and the publisher's.
func (f *faults) redisCut() error {
	return until(patience, "somebody is connected to Redis", func() bool {
		return f.redis.KillClients(func(map[string]string) bool { return true }) > 0
	})
}
