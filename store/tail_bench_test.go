//go:build unix

package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// benchTime is how long BenchmarkTail publishes, benchRate how often a second.
const (
	benchTime = 3 * time.Second
	benchRate = 1000
)

// publisherVariable makes the test binary a publisher, so that what is measured
// of this process is the tail alone: "address channels".
const publisherVariable = "STORE_BENCH_PUBLISHER"

func init() {
	if v := os.Getenv(publisherVariable); v != "" {
		benchPublish(v)
		os.Exit(0)
	}
}

// benchPublish adds benchRate events a second to random channels, each with the
// time in it, from when its standard input has a line.
func benchPublish(v string) {
	addr, text, _ := strings.Cut(v, " ")
	channels, _ := strconv.Atoi(text)
	c := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2, DisableIdentity: true})
	defer c.Close()
	c.Ping(context.Background())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	// The burst makes up for what the timers are late.
	pace := rate.NewLimiter(benchRate, benchRate/100)
	for range int(benchTime.Seconds() * benchRate) {
		if err := pace.Wait(context.Background()); err != nil {
			panic(err)
		}
		key := fmt.Sprint("sse:c", rand.IntN(channels))
		err := c.XAdd(context.Background(), &redis.XAddArgs{Stream: key, MaxLen: 100, Approx: true, Values: []any{"data", time.Now().UnixNano()}}).Err()
		if err != nil {
			panic(err)
		}
	}
}

// BenchmarkTail follows channels that get a thousand events a second between
// them, and reports what an event costs this process and Redis (the latter with
// its XADD), and how long it takes from just before XADD to the encoder.
func BenchmarkTail(b *testing.B) {
	for _, channels := range []int{10, 1000, 50_000} {
		b.Run(fmt.Sprint("channels=", channels), func(b *testing.B) {
			for range b.N {
				benchTail(b, channels)
			}
		})
	}
}

func benchTail(b *testing.B, channels int) {
	srv := redistest.Start(b)
	m := &latencyEncoder{}
	s := openHealthy(b, srv.URL(), func(c *Config) { c.Encoder = m; c.SweepInterval = 30 * time.Second })
	subscribeMany(b, s, channels)
	redistest.Eventually(b, time.Minute, "all channels to be tracked", func() bool {
		n, _ := strconv.Atoi(srv.Info("stats")["tracking_total_keys"])
		return n >= channels
	})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", publisherVariable, srv.Addr(), channels))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	redisBefore, selfBefore := redisCPU(b, srv), selfCPU()
	fmt.Fprintln(stdin)
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	const events = int(benchTime/time.Second) * benchRate
	redistest.Eventually(b, patience, "all events", func() bool { return m.count() >= events })
	self, server := selfCPU()-selfBefore, redisCPU(b, srv)-redisBefore
	slices.Sort(m.took)
	b.ReportMetric(float64(self.Microseconds())/float64(events), "tailer-µs/event")
	b.ReportMetric(float64(server.Microseconds())/float64(events), "redis-µs/event")
	b.ReportMetric(float64(m.took[events/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(m.took[events*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
	if s.sessions() != 1 || s.sweepFinds() != 0 {
		b.Errorf("%d sessions, %d finds of the sweep", s.sessions(), s.sweepFinds())
	}
	s.stop()
}

// subscribeMany subscribes to channels from several goroutines, for the life
// of the store.
func subscribeMany(b *testing.B, s *testStore, channels int) {
	const workers = 32
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < channels; i += workers {
				if _, err := s.trySubscribe(b, fmt.Sprint("c", i)); err != nil {
					b.Errorf("Subscribe: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// latencyEncoder measures how old an entry is when it is encoded.
type latencyEncoder struct {
	textEncoder
	mu   sync.Mutex
	took []time.Duration
}

func (e *latencyEncoder) EncodeEntry(channel string, id ID, fields [][]byte) Encoded {
	if sent, err := strconv.ParseInt(string(fields[1]), 10, 64); err == nil {
		e.mu.Lock()
		e.took = append(e.took, time.Duration(time.Now().UnixNano()-sent))
		e.mu.Unlock()
	}
	return Encoded{Frame: append([]byte(nil), fields[1]...)}
}

func (e *latencyEncoder) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.took)
}

// selfCPU is the processor time of this process so far.
func selfCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func redisCPU(b *testing.B, srv *redistest.Server) time.Duration {
	b.Helper()
	sum := 0.0
	for _, field := range []string{"used_cpu_user", "used_cpu_sys"} {
		v, err := strconv.ParseFloat(srv.Info("cpu")[field], 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += v
	}
	return time.Duration(sum * float64(time.Second))
}

// BenchmarkResume has a thousand clients come back at one position, a hundred
// events ago, which the window no longer holds.
func BenchmarkResume(b *testing.B) {
	srv := redistest.Start(b)
	ids := fill(b, srv.Client(), "sse:a", 200, func(int) string { return strings.Repeat("x", 100) })
	s := openHealthy(b, srv.URL(), nil)
	r := s.subscribe(b, "a")
	before := s.historyReads()
	for b.Loop() {
		s.empty("a")
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				c, n := r.sub.After(ids[99]), 0
				for {
					batch, state := c.Next(64 << 10)
					if state == UpToDate {
						break
					}
					if state == Behind {
						var err error
						if batch, err = c.Fetch(context.Background()); err != nil {
							b.Error(err)
							return
						}
					}
					n += len(batch.Entries)
				}
				if n != 100 {
					b.Errorf("%d events", n)
				}
			})
		}
		wg.Wait()
	}
	b.ReportMetric(float64(s.historyReads()-before)/float64(b.N), "reads/op")
}
