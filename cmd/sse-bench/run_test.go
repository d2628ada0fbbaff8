package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/client"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// withScenario puts the default scenario before arguments that begin with none,
// and has the tool print JSON.
func withScenario(args []string) []string {
	if strings.HasPrefix(args[0], "-") {
		args = append([]string{"run"}, args...)
	}
	return append(args, "-o", "json")
}

// bench1 runs the whole tool and returns its exit code and report.
func bench1(t *testing.T, args ...string) (int, *report.Report) {
	t.Helper()
	var out, errOut bytes.Buffer
	code := run(context.Background(), withScenario(args), nil, &out, &errOut)
	t.Logf("stderr:\n%s", &errOut)
	var r report.Report
	dec := json.NewDecoder(&out)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		t.Fatalf("exit %d, no report: %v", code, err)
	}
	return code, &r
}

func small(r *redistest.Server, gateways string, more ...string) []string {
	return append([]string{"--gateway", gateways, "--redis", r.URL(), "--subscribers", "12", "--channels", "3",
		"--rate", "300", "--duration", "600ms", "--settle", "30s"}, more...)
}

func TestCleanRunOnEveryEngine(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	f := startFake(t, r)
	for _, args := range [][]string{
		{"--engine", "epoll"}, {"--engine", "goroutine"}, {"--processes", "2"},
		{"--source-ips", "127.0.0.2,127.0.0.3", "--maxlen", "1000"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			code, rep := bench1(t, small(r, f.URL, args...)...)
			if code != exitOK || !rep.Pass {
				t.Fatalf("exit %d, failures %v, %v", code, rep.Failures, rep.Integrity)
			}
			// 180 events, 60 per channel, to 4 subscribers each.
			if rep.Deliver.Events != 720 || rep.Publish.Events != 180 || rep.Latency.Count != 720 {
				t.Errorf("published %d, delivered %d, latencies %d", rep.Publish.Events, rep.Deliver.Events, rep.Latency.Count)
			}
			if rep.Connect.Connected != 12 || rep.Connect.Seconds <= 0 || rep.Latency.P50Ms <= 0 || rep.Latency.MaxMs < rep.Latency.P99Ms {
				t.Errorf("connect %+v, latency %+v", rep.Connect, rep.Latency)
			}
		})
	}
	if keys := r.Client().Keys(context.Background(), "*").Val(); len(keys) != 0 {
		t.Errorf("the runs left %v", keys)
	}
}

func TestFaultyServersAreFound(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	var held sync.Map // frames that are written late, by connection
	tests := []struct {
		name   string
		mangle func(conn int64, n int, frame string) []string
		want   func(i *report.IntegrityReport) bool
		code   int
	}{
		{"drops", func(conn int64, n int, frame string) []string {
			if conn == 3 && n == 10 {
				return []string{}
			}
			return []string{frame}
		}, func(i *report.IntegrityReport) bool { return i.Lost == 1 && i.Repeated == 0 && i.OutOfOrder == 0 }, exitFail},
		{"drops the last", func(conn int64, n int, frame string) []string {
			if n == 60 {
				return []string{}
			}
			return []string{frame}
		}, func(i *report.IntegrityReport) bool { return i.Lost == 12 && i.Affected == 12 }, exitFail},
		{"duplicates", func(conn int64, n int, frame string) []string {
			if n == 60 {
				return []string{frame, frame}
			}
			return []string{frame}
		}, func(i *report.IntegrityReport) bool { return i.Repeated == 12 && i.Lost == 0 && i.OutOfOrder == 0 }, exitFail},
		{"reorders", func(conn int64, n int, frame string) []string {
			if n == 10 {
				held.Store(conn, frame)
				return []string{}
			}
			if n == 11 {
				before, _ := held.Load(conn)
				return []string{frame, before.(string)}
			}
			return []string{frame}
		}, func(i *report.IntegrityReport) bool { return i.OutOfOrder == 12 && i.Lost == 0 && i.Repeated == 0 }, exitFail},
		{"announces a gap", func(conn int64, n int, frame string) []string {
			if n == 10 {
				return []string{gapFrame(frame, "too_large")}
			}
			return []string{frame}
		}, func(i *report.IntegrityReport) bool {
			return i.Gapped == 12 && i.Lost == 0 && i.Gaps["too_large"] == 12 && len(i.GapChannels) == 3
		}, exitOK},
		{"sends to the wrong one", func(conn int64, n int, frame string) []string {
			before, after, _ := strings.Cut(frame, integrity.PayloadMark)
			p := strings.SplitN(after, ":", 3) // run, channel, the rest
			channel, _ := strconv.Atoi(p[1])
			if n == 10 {
				return []string{frame, fmt.Sprintf("%s%s%s:%d:%s", before, integrity.PayloadMark, p[0], (channel+1)%3, p[2])}
			}
			return []string{frame}
		}, func(i *report.IntegrityReport) bool { return i.Misrouted == 12 && i.Lost == 0 }, exitFail},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := startFake(t, r, func(f *fakeServer) { f.mangle = tt.mangle })
			// What is missing has the whole of -settle to come, as has the rest on
			// a busy machine.
			code, rep := bench1(t, small(r, f.URL, "--settle", "10s", "--grace", "0s")...)
			if code != tt.code || !tt.want(&rep.Integrity) {
				t.Errorf("exit %d, %+v", code, rep.Integrity)
			}
		})
	}
	t.Run("a gap with --no-gaps", func(t *testing.T) {
		t.Parallel()
		f := startFake(t, r, func(f *fakeServer) { f.mangle = tests[4].mangle })
		if code, _ := bench1(t, small(r, f.URL, "--no-gaps")...); code != exitFail {
			t.Errorf("exit %d", code)
		}
	})
}

// Streams that end again and again, also in the middle of an event, resume by
// Last-Event-ID at the next address, and nothing is lost by that.
func TestReconnects(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	for _, engine := range []string{client.EngineEpoll, client.EngineGoroutine} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			cut := func(f *fakeServer) {
				f.mangle = func(conn int64, n int, frame string) []string {
					switch {
					case n < 15:
						return []string{frame}
					case n == 15:
						return []string{frame[:len(frame)/2]}
					}
					return nil
				}
			}
			a, b := startFake(t, r, cut), startFake(t, r, cut)
			code, rep := bench1(t, small(r, a.URL+","+b.URL, "--engine", engine, "--rate", "400")...)
			if code != exitOK {
				t.Fatalf("exit %d, %v, %+v", code, rep.Failures, rep.Integrity)
			}
			if rep.Integrity.Reconnects < 12 || a.resume.Load() == 0 || b.resume.Load() == 0 {
				t.Errorf("%d reconnects, with an id at a %d and b %d", rep.Integrity.Reconnects, a.resume.Load(), b.resume.Load())
			}
			if rep.Live == nil || rep.Live.Count >= rep.Latency.Count {
				t.Errorf("live latency %+v of %+v", rep.Live, rep.Latency)
			}
		})
	}
}

// What an EventSource comes back from, and what not.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	var first sync.Once
	tests := []struct {
		name   string
		refuse func(conn int64, w http.ResponseWriter) bool
		reason string
	}{
		{"forbidden", func(conn int64, w http.ResponseWriter) bool {
			if conn != 5 {
				return false
			}
			w.WriteHeader(http.StatusForbidden)
			return true
		}, "status 403"},
		{"no content", func(conn int64, w http.ResponseWriter) bool {
			if conn != 5 {
				return false
			}
			w.WriteHeader(http.StatusNoContent)
			return true
		}, "status 204"},
		{"another type", func(conn int64, w http.ResponseWriter) bool {
			done := true
			first.Do(func() { done = false; fmt.Fprint(w, "<html>") })
			return !done
		}, "status 200 without text/event-stream"},
		{"passing", func(conn int64, w http.ResponseWriter) bool {
			if conn > 12 {
				return false
			}
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "retry: 50\n\n")
			return true
		}, ""},
		{"connection lost", func(conn int64, w http.ResponseWriter) bool {
			if conn > 3 {
				return false
			}
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
			return true
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := startFake(t, r, func(f *fakeServer) { f.refuse = tt.refuse })
			code, rep := bench1(t, small(r, f.URL, "--retry", "50ms")...)
			if tt.reason == "" {
				if code != exitOK || rep.Connect.Connected != 12 {
					t.Errorf("exit %d, %+v, %v", code, rep.Connect, rep.Failures)
				}
				return
			}
			if code != exitFail || rep.Integrity.Refusals[tt.reason] != 1 || rep.Integrity.Refused != 1 || rep.Integrity.Lost != 0 {
				t.Errorf("exit %d, %+v", code, rep.Integrity)
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	dead := httptest.NewServer(nil)
	dead.Close()
	for _, engine := range []string{client.EngineEpoll, client.EngineGoroutine} {
		code, rep := bench1(t, small(r, dead.URL, "--engine", engine, "--ready-timeout", "2s", "--retry", "50ms")...)
		if code != exitFail || rep.Connect.Connected != 0 || rep.Integrity.Faults["connect: connection refused"] < 12 {
			t.Errorf("%s: exit %d, %+v", engine, code, rep.Integrity)
		}
	}
	var out, errOut bytes.Buffer
	if code := run(t.Context(), []string{"run", "--redis", "redis://" + dead.Listener.Addr().String()}, nil, &out, &errOut); code != exitFail {
		t.Errorf("without Redis: exit %d", code)
	}
}

func TestOtherServer(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	args := func(f *fakeServer) []string {
		return []string{"--url", f.URL + "/sub/{channel}", "--publish", "http", "--publish-url", f.URL + "/pub/{channel}",
			"--channel", "other-{run}-{n}", "--subscribers", "6", "--channels", "2", "--rate", "200", "--duration", "500ms"}
	}
	f := startFake(t, r, func(f *fakeServer) { f.plain = true })
	if code, rep := bench1(t, args(f)...); code != exitOK || rep.Deliver.Events != 300 {
		t.Errorf("exit %d, %+v, %+v", code, rep.Deliver, rep.Integrity)
	}
	f = startFake(t, r, func(f *fakeServer) {
		f.plain = true
		f.mangle = func(conn int64, n int, frame string) []string {
			if n == 7 {
				return []string{}
			}
			return []string{frame}
		}
	})
	if code, rep := bench1(t, append(args(f), "--settle", "10s", "--grace", "0s")...); code != exitFail || rep.Integrity.Lost != 6 {
		t.Errorf("exit %d, %+v", code, rep.Integrity)
	}
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	f, cold := startFake(t, r), startFake(t, r)
	base := []string{"--gateway", f.URL, "--redis", r.URL(), "--pids", strconv.Itoa(os.Getpid())}
	short := map[string][]string{
		"broadcast": {"--subscribers", "20", "--rate", "50", "--duration", "400ms"},
		"many":      {"--subscribers", "20", "--rate", "200", "--duration", "400ms"},
		"idle":      {"--subscribers", "20", "--duration", "200ms", "--after", "100ms"},
		"connect":   {"--subscribers", "20"},
		"storm":     {"--subscribers", "20", "--missed", "30", "--resume-to", cold.URL},
		"hot":       {"--subscribers", "5", "--rate", "500", "--duration", "400ms"},
	}
	for _, name := range []string{"broadcast", "many", "idle", "connect", "storm", "hot"} {
		t.Run(name, func(t *testing.T) {
			code, rep := bench1(t, append(append([]string{name}, base...), short[name]...)...)
			if code != exitOK || rep.Scenario != name {
				t.Fatalf("exit %d, %v", code, rep.Failures)
			}
			if rep.Server == nil || rep.Server.RSSBefore == 0 || rep.Server.RSSConnected == 0 || rep.Server.RSSAfter == 0 {
				t.Errorf("server %+v", rep.Server)
			}
			if name == "many" && rep.Channels != 20 {
				t.Errorf("%d channels", rep.Channels)
			}
			if name != "storm" {
				return
			}
			if st := rep.Storm; st == nil || st.Seconds <= 0 || st.ReadySeconds <= 0 || st.Missed != 30 || rep.Deliver.Events != 20*31 {
				t.Errorf("storm %+v, delivered %d", st, rep.Deliver.Events)
			}
			if cold.conns.Load() != 20 || cold.resume.Load() != 20 {
				t.Errorf("%d came back to the address for it, %d with an id", cold.conns.Load(), cold.resume.Load())
			}
		})
	}
}

func TestTableAndInterrupt(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	f := startFake(t, r)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var out, errOut bytes.Buffer
	flowing := regexp.MustCompile(`connected 12 +published [1-9]`)
	spy := progressSpy{&errOut, func(line []byte) {
		if flowing.Match(line) {
			interrupt()
		}
	}}
	code := run(ctx, append([]string{"run"}, small(r, f.URL, "--duration", "1h", "--pids", strconv.Itoa(os.Getpid()))...), nil, &out, spy)
	if code != exitOK {
		t.Errorf("exit %d after an interrupt", code)
	}
	for _, want := range []string{"p99.9", "lost ", "µs per delivery", "B per connection", "Held: 12 streams", "nothing lost"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
	if !strings.Contains(errOut.String(), "connected 12") {
		t.Errorf("progress: %s", &errOut)
	}
}
