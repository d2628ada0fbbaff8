package main

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// deleter deletes events from Redis once all the streams of their channel have
// passed them.
type deleter struct {
	client *redis.Client
	each   int // streams per channel

	mu     sync.Mutex
	passed map[string]int // by id and key
}

func (d *deleter) pass(t *testing.T, frame string) {
	run := strings.Split(frame[strings.Index(frame, integrity.PayloadMark):], ":")
	key := fmt.Sprintf("sse:bench:%s:%s", run[1], run[2])
	id := frameID(frame)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.passed[id+key]++; d.passed[id+key] < d.each {
		return
	}
	if n, err := d.client.XDel(t.Context(), key, id).Result(); n != 1 || err != nil {
		t.Errorf("XDEL %s %s: %d %v", key, id, n, err)
	}
}

func frameID(frame string) string {
	line, _, _ := strings.Cut(frame, "\n")
	return strings.TrimPrefix(line, "id: ")
}

// gapFrame is a gap in place of a frame, with (after, resumed] around its id.
func gapFrame(frame, reason string) string {
	id, _ := integrity.ParseEntryID(frameID(frame))
	before := integrity.EntryID{MS: id.MS, Seq: id.Seq - 1}
	if id.Seq == 0 {
		before = integrity.EntryID{MS: id.MS - 1, Seq: math.MaxUint64}
	}
	return fmt.Sprintf("id: %s\nevent: gateway.gap\ndata: {\"channel\":\"c\",\"after\":%q,\"resumed\":%q,\"reason\":%q}\n\n", id, before, id, reason)
}

// A gap excuses what Redis does not have any more, and no more than it speaks of.
func TestGapsAreComparedWithRedis(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	const (
		dropped = 1 << iota
		gone    // from Redis, too
	)
	for _, tt := range []struct {
		name         string
		reason       string
		tenth        int // what becomes of the 10th event, in place of which there is a gap
		next         int // and of the one after it
		silent       bool
		lost, gapped int64
	}{
		{name: "reset, and nothing more", reason: "reset", tenth: dropped, silent: true, lost: 12 * 51},
		{name: "reset, not gone", reason: "reset", tenth: dropped, lost: 12},
		{name: "reset, gone", reason: "reset", tenth: dropped | gone, next: dropped | gone, gapped: 24},
		{name: "unknown id, not gone", reason: "unknown_id", tenth: dropped, lost: 12},
		{name: "trimmed, gone", reason: "trimmed", tenth: dropped | gone, gapped: 12},
		{name: "trimmed, not gone", reason: "trimmed", tenth: dropped, lost: 12},
		{name: "trimmed, and one more", reason: "trimmed", tenth: dropped | gone, next: dropped | gone, lost: 12, gapped: 12},
		{name: "too large", reason: "too_large", tenth: dropped, gapped: 12},
		{name: "too large, and one more", reason: "too_large", tenth: dropped, next: dropped, lost: 12, gapped: 12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := &deleter{client: r.Client(), each: 4, passed: map[string]int{}}
			f := startFake(t, r, func(f *fakeServer) {
				f.mangle = func(_ int64, n int, frame string) []string {
					fate := map[int]int{10: tt.tenth, 11: tt.next}[n]
					if fate&gone != 0 {
						d.pass(t, frame)
					}
					switch {
					case n == 10:
						return []string{gapFrame(frame, tt.reason)}
					case fate&dropped != 0 || n > 10 && tt.silent:
						return []string{}
					}
					return []string{frame}
				}
			})
			settle := "60s"
			if tt.silent {
				settle = "1s" // it runs out
			}
			// Two processes: the question and the answer travel.
			code, rep := bench1(t, small(r, f.URL, "--processes", "2", "--settle", settle, "--grace", "0s")...)
			want, i := exitOK, &rep.Integrity
			if tt.lost > 0 {
				want = exitFail
			}
			if code != want || i.Lost != tt.lost || i.Gapped != tt.gapped || i.Gaps[tt.reason] != 12 {
				// What a busy machine has not brought within a second is lost as well.
				if !tt.silent || code != want || i.Lost < tt.lost || i.Gapped != 0 {
					t.Errorf("exit %d, lost %d, gapped %d: %+v", code, i.Lost, i.Gapped, i)
				}
			}
			if tt.lost > 0 && (len(i.Examples) == 0 || !strings.Contains(i.Examples[0], "the gap in their place does not excuse them")) {
				t.Errorf("examples %q", i.Examples)
			}
		})
	}
}

// A storm is over when everybody has everything: what a gap stands for, or
// nothing, was not brought fast.
func TestStormWithHoles(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	for _, tt := range []struct {
		name         string
		mangle       func(n int, frame string) []string // of the streams that came back
		code         int
		lost, gapped int64
	}{
		{"a gap instead of the missed events", func(n int, frame string) []string {
			switch {
			case n == 1:
				return []string{gapFrame(frame, "unknown_id")}
			case n < 50:
				return []string{}
			}
			return []string{frame}
		}, exitFail, 10 * 49, 0},
		{"an event too large", func(n int, frame string) []string {
			if n == 7 {
				return []string{gapFrame(frame, "too_large")}
			}
			return []string{frame}
		}, exitOK, 0, 10},
		{"an event dropped", func(n int, frame string) []string {
			if n == 7 {
				return []string{}
			}
			return []string{frame}
		}, exitFail, 10, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := startFake(t, r, func(f *fakeServer) {
				f.mangle = func(conn int64, n int, frame string) []string {
					if conn <= 10 {
						return []string{frame}
					}
					return tt.mangle(n, frame)
				}
			})
			code, rep := bench1(t, "storm", "--gateway", f.URL, "--redis", r.URL(), "--subscribers", "10", "--missed", "50", "--grace", "0s")
			i := &rep.Integrity
			if code != tt.code || i.Lost != tt.lost || i.Gapped != tt.gapped || rep.Storm.Missed != 50 || rep.Storm.Seconds != 0 {
				t.Errorf("exit %d, storm %+v, %+v", code, rep.Storm, i)
			}
		})
	}
}

// When Redis does not tell what it has, no gap is taken on trust.
func TestGapsThatCannotBeCompared(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t, redistest.WithUser("publisher on >secret ~* &* +@all -xrange"))
	f := startFake(t, r, func(f *fakeServer) {
		f.mangle = func(_ int64, n int, frame string) []string {
			if n == 10 {
				return []string{gapFrame(frame, "reset")}
			}
			return []string{frame}
		}
	})
	url := strings.Replace(r.URL(), "://", "://publisher:secret@", 1)
	code, rep := bench1(t, small(r, f.URL, "--redis", url, "--settle", "60s")...)
	if code != exitFail || len(rep.Failures) != 1 || !strings.Contains(rep.Failures[0], "what Redis still has is not known") {
		t.Errorf("exit %d, %q", code, rep.Failures)
	}
}
