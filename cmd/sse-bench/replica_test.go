package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/gatewaytest"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// gatewayBinary builds sse-gateway once, with the race detector if this test has
// it.
var gatewayBinary = sync.OnceValues(func() (string, error) { return gatewaytest.Build("cmd/sse-gateway", gatewaytest.Race()) })

// The drain of the replicas. HAProxy takes one out of its pool within 2 s.
const (
	drainDelay    = 2 * time.Second
	drainWindow   = time.Second
	drainOvertime = 5 * time.Second // the contract: nothing lives longer
)

// replica is a gateway in a process of its own that keeps its addresses over
// restarts.
type replica struct {
	daemon
	name, public, admin string
}

// replicaEnv is a gateway's environment: nothing of the test's own but what
// programs need. The safety sweep is off, or it would make up for a mechanism
// that does not work.
func replicaEnv(redisURL, public, admin string) []string {
	env := []string{
		"GORACE=halt_on_error=1 atexit_sleep_ms=10", "SSE_REDIS_URL=" + redisURL, "SSE_ADDR=" + public, "SSE_ADMIN_ADDR=" + admin,
		"SSE_PUBLIC_CHANNELS=**", "SSE_TRUSTED_PROXIES=127.0.0.1", "SSE_RETRY=500ms", "SSE_LOG_LEVEL=debug", "SSE_SWEEP_INTERVAL=24h",
		"SSE_DRAIN_DELAY=" + drainDelay.String(), "SSE_DRAIN_WINDOW=" + drainWindow.String(),
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// startReady starts the replica and waits until it is ready.
func (r *replica) startReady() error {
	if err := r.start(); err != nil {
		return err
	}
	err := until(patience, r.name+" is ready", func() bool { return !r.alive() || r.ready() })
	if err == nil && !r.alive() {
		err = fmt.Errorf("%s ended instead of getting ready", r.name)
	}
	return err
}

func (r *replica) ready() bool {
	res, err := probe(context.Background(), "http://"+r.admin+"/readyz", http.Header{})
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// roll is what a deployment does: SIGTERM, the end with exit code 0 in the time
// of the contract, the start.
func (r *replica) roll() error {
	limit := drainDelay + drainWindow + drainOvertime
	if err := r.stop(limit); err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	return r.startReady()
}

// crash is kill -9 and a start.
func (r *replica) crash() error {
	if err := r.kill(); err != nil {
		return err
	}
	return r.startReady()
}

// metric returns the sum of the series of a name whose labels hold all of has.
func (r *replica) metric(name string, has ...string) (float64, error) {
	res, err := probe(context.Background(), "http://"+r.admin+"/metrics", http.Header{})
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	found, sum := false, 0.0
series:
	for in := bufio.NewScanner(res.Body); in.Scan(); {
		series, text, _ := strings.Cut(in.Text(), " ")
		family, labels, _ := strings.Cut(series, "{")
		if family != name {
			continue
		}
		for _, h := range has {
			if !strings.Contains(labels, `"`+h+`"`) {
				continue series
			}
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", in.Text(), err)
		}
		found, sum = true, sum+v
	}
	if !found {
		return 0, fmt.Errorf("%s has no series %s %v", r.name, name, has)
	}
	return sum, nil
}

// positions returns the newest ids that the replica knows of channels that have
// subscribers: those of the gateway.ready of a new stream.
func (r *replica) positions(channels []string) (map[string]string, error) {
	u := "http://" + r.public + "/events?" + url.Values{"channel": channels}.Encode()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	res, err := probe(ctx, u, http.Header{"Accept": {"text/event-stream"}})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	for in := bufio.NewScanner(res.Body); in.Scan(); {
		data, ok := strings.CutPrefix(in.Text(), "data: ")
		if !ok {
			continue
		}
		var ready struct{ Channels map[string]string }
		err := json.Unmarshal([]byte(data), &ready)
		return ready.Channels, err
	}
	return nil, errors.New("the stream ended without gateway.ready")
}

// probe asks with a connection of its own.
func probe(ctx context.Context, url string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	client := &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: patience}
	return client.RoundTrip(req)
}

// until waits for a condition that only other processes can bring about, on any
// goroutine.
func until(within time.Duration, what string, ok func() bool) error {
	if !redistest.Poll(within, ok) {
		return fmt.Errorf("not within %v: %s", within, what)
	}
	return nil
}
