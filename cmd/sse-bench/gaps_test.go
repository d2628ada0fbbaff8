package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func TestWhatAGapExcuses(t *testing.T) {
	// Redis has the events 1 to 10 and 15 to 20; the ids of 17 and 18 are not known.
	r := &retained{
		Numbers: []span{{1, 10}, {15, 20}},
		Places:  map[string]place{"8-0": {8, 8}, "12-0": {12, 12}, "16-0": {16, 18}, "17-0": {16, 18}, "20-0": {20, 20}},
	}
	gap := func(reason string, ids ...string) announced {
		ids = append(ids, "", "")
		return announced{ids[0], ids[1], kindOfGap(reason)}
	}
	tests := []struct {
		name     string
		from, to int64
		gaps     []announced
		lost     []span
	}{
		{"no gap", 12, 13, nil, []span{{12, 13}}},
		{"reset, gone", 11, 14, []announced{gap("reset", "10-0", "12-0")}, nil},
		{"reset, some of it gone", 9, 16, []announced{gap("reset")}, []span{{9, 10}, {15, 16}}},
		{"unknown id", 9, 11, []announced{gap("unknown_id")}, []span{{9, 10}}},
		{"a reason of tomorrow", 9, 11, []announced{gap("else")}, []span{{9, 10}}},
		{"trimmed", 11, 12, []announced{gap("trimmed", "8-0", "12-0")}, nil},
		{"trimmed, Redis has some", 9, 12, []announced{gap("trimmed", "8-0", "12-0")}, []span{{9, 10}}},
		{"trimmed, begins before the gap", 7, 12, []announced{gap("trimmed", "8-0", "12-0")}, []span{{7, 10}}},
		{"trimmed, ends after the gap", 11, 14, []announced{gap("trimmed", "8-0", "12-0")}, []span{{13, 14}}},
		{"trimmed, says nothing", 11, 12, []announced{gap("trimmed")}, []span{{11, 12}}},
		{"trimmed, then reset", 11, 14, []announced{gap("trimmed", "8-0", "12-0"), gap("reset")}, nil},
		{"too large, Redis has it", 19, 20, []announced{gap("too_large", "16-0", "20-0")}, nil},
		{"too large, and more", 15, 20, []announced{gap("too_large", "16-0", "20-0")}, []span{{15, 16}}},
		{"too large, one whose id is not known", 17, 17, []announced{gap("too_large", "16-0", "17-0")}, nil},
		{"too large, says nothing", 17, 17, []announced{gap("too_large")}, []span{{17, 17}}},
	}
	for _, tt := range tests {
		if got := r.lost(hole{tt.from, tt.to, tt.gaps}); !slices.Equal(got, tt.lost) {
			t.Errorf("%s: lost %v, want %v", tt.name, got, tt.lost)
		}
	}
	one := []announced{gap("reset")}
	if got := (*retained)(nil).lost(hole{1, 3, one}); got != nil {
		t.Errorf("no Redis to ask: lost %v", got)
	}
	if got := allRetained.lost(hole{1, 3, one}); !slices.Equal(got, []span{{1, 3}}) {
		t.Errorf("a channel that had no gap yet: lost %v", got)
	}
}

// A gap that comes when Redis has been asked already is not taken on trust.
func TestGapAfterTheQuestion(t *testing.T) {
	cfg := &workerConfig{ChannelName: "c{n}", Channels: 1, ChannelsEach: 1}
	g := newGroup(cfg, nil, nil, 0, 1)
	g.subs[0].firstAt = 1
	g.expect([]int64{3}, nil, schedule{})
	if asked := g.gapped(); len(asked) != 0 {
		t.Fatalf("gaps %v", asked)
	}
	g.subs[0].gap([]byte(`{"channel":"c0","after":"1-0","resumed":"2-0","reason":"reset"}`))
	if v := g.verdict(map[int]*retained{}); v.Lost != 3 || v.Gapped != 0 {
		t.Errorf("lost %d, gapped %d", v.Lost, v.Gapped)
	}
	if v := g.verdict(nil); v.Lost != 0 || v.Gapped != 3 {
		t.Errorf("with no Redis to ask: lost %d, gapped %d", v.Lost, v.Gapped)
	}
}

// deleter deletes events from Redis once all the streams of their channel have
// passed them.
type deleter struct {
	client *redis.Client
	each   int // streams per channel

	mu     sync.Mutex
	passed map[string]int // by id and key
}

func (d *deleter) pass(t *testing.T, frame string) {
	run := strings.Split(frame[strings.Index(frame, string(payloadMark)):], ":")
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
	id, _ := parseEntryID(frameID(frame))
	before := entryID{id.ms, id.seq - 1}
	if id.seq == 0 {
		before = entryID{id.ms - 1, math.MaxUint64}
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
			code, rep := bench1(t, small(r, f.URL, "-processes", "2", "-settle", settle, "-grace", "0s")...)
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
			code, rep := bench1(t, "-gateway", f.URL, "-redis", r.URL(), "-scenario", "storm", "-subscribers", "10", "-missed", "50", "-grace", "0s")
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
	code, rep := bench1(t, small(r, f.URL, "-redis", url, "-settle", "60s")...)
	if code != exitFail || len(rep.Failures) != 1 || !strings.Contains(rep.Failures[0], "what Redis still has is not known") {
		t.Errorf("exit %d, %q", code, rep.Failures)
	}
}

// A stream of several pages, with entries of others in it, and one that has lost
// its beginning.
func TestRetained(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	s, err := newRedisSink(r.URL(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.run, s.size, s.keys = "0123abcd", 100, []string{"k"}
	p := newPublisher(s, 1, 1, make([]int64, 1))
	p.ids = make([]idLog, 1)
	var batch []payload
	for seq := range int64(2*retainedPage + 7) {
		batch = append(batch, payload{seq: seq + 1})
	}
	r.XAdd("k", "data", "before")
	if err := s.send(t.Context(), batch, p.accepted); err != nil {
		t.Fatal(err)
	}
	r.XAdd("k", "other", "x")
	read := func() []span {
		t.Helper()
		numbers, err := s.retained(0, p.ids[0])
		if err != nil {
			t.Fatal(err)
		}
		return numbers
	}
	if got := read(); !slices.Equal(got, []span{{1, 2007}}) {
		t.Errorf("whole: %v", got)
	}
	r.Do("XDEL", "k", p.ids[0][1233].id.String())
	r.Do("XTRIM", "k", "MAXLEN", "1500")
	if got := read(); !slices.Equal(got, []span{{508, 1233}, {1235, 2007}}) {
		t.Errorf("trimmed: %v", got)
	}
	r.Do("DEL", "k")
	if got := read(); got != nil {
		t.Errorf("gone: %v", got)
	}
}
