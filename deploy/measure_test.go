package deploy_test

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// meter measures one gateway from outside.
type meter struct {
	t             *testing.T
	process       *process
	public, admin string
}

// startMeter starts a gateway to be measured, which is built as it is deployed:
// without the race detector.
func startMeter(t *testing.T, redisURL string, env ...string) *meter {
	t.Helper()
	m := &meter{t: t, public: redistest.FreeAddr(t), admin: redistest.FreeAddr(t)}
	m.process = startExactly(t, append(env, "SSE_REDIS_URL="+redisURL, "SSE_ADDR="+m.public, "SSE_ADMIN_ADDR="+m.admin,
		"SSE_PUBLIC_CHANNELS=**", "SSE_DRAIN_DELAY=0s", "SSE_DRAIN_WINDOW=0s", "SSE_HEARTBEAT=10m"), gatewayProgram(t))
	redistest.Eventually(t, patience, "the gateway is ready", func() bool { return status("http://"+m.admin+"/readyz") == 200 })
	return m
}

// cpu is the processor time that the gateway has used, in µs.
func (m *meter) cpu() float64 { return 1e6 * m.series("process_cpu_seconds_total") }

func (m *meter) series(name string) float64 {
	m.t.Helper()
	return m.seriesOf(name)[0]
}

// seriesOf returns several series as they were at one moment.
func (m *meter) seriesOf(names ...string) []float64 {
	m.t.Helper()
	page := body("http://" + m.admin + "/metrics")
	values := make([]float64, len(names))
	for i, name := range names {
		v, err := strconv.ParseFloat(seriesIn(m.t, page, name), 64)
		if err != nil {
			m.t.Fatal(err)
		}
		values[i] = v
	}
	return values
}

// resident is the gateway's resident memory without garbage, and without what
// its heap is about to give back, in bytes. What has been given back is no
// longer resident, so the two are of one moment; and the least of several
// readings is that with the least garbage since the collection before it.
func (m *meter) resident() float64 {
	m.t.Helper()
	least := math.Inf(1)
	for range 5 {
		if got := status("http://" + m.admin + "/debug/pprof/heap?gc=1"); got != 200 {
			m.t.Fatalf("/debug/pprof/heap: %d", got)
		}
		now := m.seriesOf("process_resident_memory_bytes", "go_memstats_heap_idle_bytes", "go_memstats_heap_released_bytes")
		least = min(least, now[0]-(now[1]-now[2]))
	}
	return least
}

// connect opens n streams of a channel and returns them when each has had its
// first event. They are not read from any more: a few events fit into a socket's
// buffer, and reading would take more time than what is measured.
func (m *meter) connect(n int, channel string) []io.Reader {
	m.t.Helper()
	streams := make([]io.Reader, n)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range streams {
		c, err := net.Dial("tcp", m.public)
		if err != nil {
			m.t.Fatal(err)
		}
		m.t.Cleanup(func() { c.Close() })
		group.Go(func() error {
			in := bufio.NewReaderSize(c, 512)
			streams[i] = in
			_, err := fmt.Fprintf(c, "GET /events?channel=%s HTTP/1.1\r\nHost: gateway\r\nAccept: text/event-stream\r\n\r\n", channel)
			for line := ""; err == nil && !strings.HasPrefix(line, "data: "); {
				line, err = in.ReadString('\n')
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		m.t.Fatal(err)
	}
	return streams
}

// awaitDeliveries waits until the gateway has written n events since it started.
func (m *meter) awaitDeliveries(n float64) {
	m.t.Helper()
	redistest.Eventually(m.t, patience, fmt.Sprint(n, " deliveries"), func() bool { return m.series("sse_gateway_deliveries_total") >= n })
}

// redisCPU is the processor time that a Redis has used, in µs.
func redisCPU(t *testing.T, c *redis.Client) float64 {
	t.Helper()
	info, err := c.Info(t.Context(), "cpu").Result()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, m := range regexp.MustCompile(`used_cpu_(?:user|sys):([0-9.]+)`).FindAllStringSubmatch(info, -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	return 1e6 * sum
}

// publishAt publishes n events of 100 bytes at a steady rate, in a pipeline of
// batch at a time, and returns the rate that was reached.
func publishAt(t *testing.T, c *redis.Client, channel string, n, batch int, perSecond float64) float64 {
	t.Helper()
	data := strings.Repeat("x", 100)
	pace := rate.NewLimiter(rate.Limit(perSecond), batch)
	started := time.Now()
	for sent := 0; sent < n; sent += batch {
		if err := pace.WaitN(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		pipe := c.Pipeline()
		for range batch {
			pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "sse:" + channel, MaxLen: 100_000, Approx: true, Values: []string{"data", data}})
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return float64(n) / time.Since(started).Seconds()
}
