package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// TestKeyFaults does to a stream, under a live subscriber, what can be done to
// a key. Each case runs on channels of its own; %[1]s stands for the channel's
// key. In want, a number stands for the entry with that id and data.
func TestKeyFaults(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), nil)
	for name, c := range map[string]struct {
		before []string // the stream then
		do     []string
		after  []string // once what do did was noticed
		want   []string
	}{
		"deleted": {add(10, 11), []string{"DEL %s"}, add(3, 4),
			[]string{"gap(11-0,0-0 reset)", "3", "4"}},
		"deleted and created again higher": {add(10, 11), []string{"DEL %s"}, add(13, 14),
			[]string{"13", "14"}}, // it had everything
		"deleted and created again trimmed": {add(10, 11), []string{"DEL %s"}, multi(x(13), x(14), "XTRIM %s MAXLEN 1", x(15)),
			[]string{fmt.Sprintf("gap(11-0,%s trimmed)", ID{Ms: 14, Seq: 0}.Prev()), "14", "15"}},
		"deleted and created again on both sides": {add(10, 11), []string{"DEL %s"}, multi(x(3), x(14)),
			[]string{"gap(11-0,0-0 reset)", "3", "14"}},
		"expired and created again higher": {add(10, 11), []string{"PEXPIRE %s 1", "expire"}, add(13),
			[]string{"13"}},
		"deleted and created again lower, at once": {add(10, 11), multi("DEL %s", x(3), x(4)), add(5),
			[]string{"gap(11-0,0-0 reset)", "3", "4", "5"}},
		"deleted and created again higher, at once": {add(10, 11), multi("DEL %s", x(13), x(14), x(15)), add(16),
			[]string{"gap(11-0,0-0 reset)", "13", "14", "15", "16"}},
		"deleted and created again around it, at once": {add(10, 11), multi("DEL %s", x(3), x(14)), add(16),
			[]string{"gap(11-0,0-0 reset)", "3", "14", "16"}},
		"deleted and created again, the same ids": {add(10, 11), multi("DEL %s", x(10), x(11)), add(12),
			[]string{"12"}}, // there is nothing to tell the two apart by
		"deleted with an unseen entry and created again": {add(10, 11), multi(x(12), "DEL %s", x(13)), add(16),
			[]string{"gap(11-0,0-0 reset)", "13", "16"}},
		"renamed away": {add(10, 11), []string{"RENAME %[1]s %[1]s:away"}, add(3),
			[]string{"gap(11-0,0-0 reset)", "3"}},
		"another one renamed onto it": {add(10, 11), append(onto(3, 14), "RENAME %[1]s:other %[1]s"), add(15),
			[]string{"gap(11-0,0-0 reset)", "3", "14", "15"}},
		"a higher one renamed onto it": {add(10, 11), append(onto(12, 13, 14), "RENAME %[1]s:other %[1]s"), add(15),
			[]string{"gap(11-0,0-0 reset)", "12", "13", "14", "15"}},
		"copied over by its own older copy": {add(10, 11), []string{"COPY %[1]s %[1]s:old", x(12), x(13), "read", "COPY %[1]s:old %[1]s REPLACE"}, add(14),
			[]string{"12", "13", "gap(13-0,11-0 reset)", "14"}},
		"another type": {add(10, 11), []string{"SET %s x"}, []string{"DEL %s", x(3)},
			[]string{"gap(11-0,0-0 reset)", "3"}},
		"another type and back at once": {add(10, 11), multi("SET %s x", "DEL %s", x(12)), add(13),
			[]string{"gap(11-0,0-0 reset)", "12", "13"}},
		"the last entry deleted": {add(10, 11), []string{"XDEL %s 11-0"}, add(12),
			[]string{"12"}},
		"every entry deleted": {add(10, 11), []string{"XDEL %s 11-0 10-0"}, add(12),
			[]string{"12"}},
		"an unseen entry deleted": {add(10, 11), multi(x(12), x(13), "XDEL %s 12-0"), add(14),
			[]string{"13", "14"}},
		"all trimmed": {add(10, 11), []string{"XTRIM %s MAXLEN 0"}, add(12),
			[]string{"12"}},
		"trimmed to the last": {add(10, 11), []string{"XTRIM %s MAXLEN 1"}, add(12),
			[]string{"12"}},
		"unseen entries trimmed": {add(10, 11), multi(x(12), x(13), x(14), "XTRIM %s MAXLEN 1"), add(15),
			[]string{fmt.Sprintf("gap(11-0,%s trimmed)", ID{Ms: 14, Seq: 0}.Prev()), "14", "15"}},
		"all of them trimmed": {add(10, 11), multi(x(12), x(13), "XTRIM %s MAXLEN 0"), add(15),
			[]string{"gap(11-0,13-0 trimmed)", "15"}},
		"trimmed exactly up to the last seen": {add(10, 11), multi(x(12), x(13), "XTRIM %s MAXLEN 2"), add(14),
			[]string{"12", "13", "14"}},
		"the id set higher": {add(10, 11), []string{"XSETID %s 20-0"}, add(21),
			[]string{"21"}},
		// Redis does not announce XSETID; here the tail hears of the XDEL.
		lowerID: {add(10, 11), multi("XDEL %s 11-0", "XSETID %s 10-0"), add(11, 12),
			[]string{"gap(11-0,10-0 reset)", "11", "12"}},
		"expired": {add(10, 11), []string{"PEXPIRE %s 1", "expire"}, add(3),
			[]string{"gap(11-0,0-0 reset)", "3"}},
		"created with a group": {nil, []string{"XGROUP CREATE %s g $ MKSTREAM"}, add(3),
			[]string{"3"}},
		"gone, and created with a group": {add(10, 11), []string{"DEL %s"}, []string{"XGROUP CREATE %s g $ MKSTREAM", x(12)},
			[]string{"12"}},
		"a group on it": {add(10, 11), []string{"XGROUP CREATE %s g 0", "XREADGROUP GROUP g c STREAMS %s >"}, add(12),
			[]string{"12"}},
		"created by one trimmed burst": {nil, multi(x(3), x(4), x(5), "XTRIM %s MAXLEN 1"), add(6),
			[]string{fmt.Sprintf("gap(0-0,%s trimmed)", ID{Ms: 5, Seq: 0}.Prev()), "5", "6"}},
	} {
		if name == lowerID && !takesLowerID(t, srv) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			channel := strings.ReplaceAll(name, " ", "-")
			channel = strings.ReplaceAll(channel, ",", "")
			run(t, srv, channel, c.before...)
			r := s.subscribe(t, channel)
			settle(t, s, channel)
			if i := slices.Index(c.do, "read"); i >= 0 {
				run(t, srv, channel, c.do[:i]...)
				r.awaitID(lastID(c.do[:i]))
				c.do = c.do[i+1:]
			}
			run(t, srv, channel, c.do...)
			settle(t, s, channel)
			run(t, srv, channel, c.after...)
			r.awaitID(lastID(c.after))
			got := r.texts()
			for i, text := range got {
				if id, data, ok := strings.Cut(text, " "); ok && !strings.HasPrefix(text, "gap") {
					if got[i] = data; id != data+"-0" {
						t.Errorf("%s has the data %s", id, data)
					}
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
			// Whoever comes back now sees the stream as it is.
			r.at(ID{}).drain()
			for _, it := range r.got {
				if it.gap != nil && it.gap.Reason != "trimmed" {
					t.Errorf("a new client got %s", it)
				}
			}
		})
	}
	if s.sweepFinds() != 0 || s.sessions() != 1 {
		t.Errorf("%d finds of the sweep, %d sessions", s.sweepFinds(), s.sessions())
	}
}

// lowerID is the case that Redis rules out from 7.4 on, and Valkey from 8.
const lowerID = "the id set lower"

// takesLowerID reports whether the server lets the last id of a stream go back to
// before an entry that was deleted.
func takesLowerID(t *testing.T, srv *redistest.Server) bool {
	t.Helper()
	run(t, srv, "probe", append(add(10, 11), "XDEL %s 11-0")...)
	return srv.Client().Do(t.Context(), "XSETID", "sse:probe", "10-0").Err() == nil
}

// A key that becomes another type under its subscribers is an error once for
// each time, not for each look at it; the stream stays open, and goes on.
func TestWrongTypeIsCountedOnce(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), nil)
	counted := s.m.Store.RedisErrors.WithLabelValues("wrong_type")
	r := s.subscribe(t, "a")
	for times := range 3 {
		r.awaitID(srv.XAdd("sse:a", "data", "x"))
		if got := value(counted); got != float64(times) {
			t.Fatalf("%v errors are counted after %d changes of type", got, times)
		}
		for _, change := range [][]any{{"SET", "sse:a", "x"}, {"APPEND", "sse:a", "y"}, {"SETRANGE", "sse:a", 0, "z"}} {
			srv.Do(change...)
			settle(t, s, "a")
		}
		if got := value(counted); got != float64(times+1) {
			t.Fatalf("%v errors are counted, want %d", got, times+1)
		}
		srv.Do("DEL", "sse:a")
		settle(t, s, "a")
	}
}

// x is the command that adds the entry <ms>-0 with ms as data.
func x(ms int) string { return fmt.Sprintf("XADD %%[1]s %d-0 data %d", ms, ms) }

func add(ids ...int) (cmds []string) {
	for _, ms := range ids {
		cmds = append(cmds, x(ms))
	}
	return cmds
}

func multi(cmds ...string) []string { return append(append([]string{"MULTI"}, cmds...), "EXEC") }

// onto adds to the stream that is to be renamed.
func onto(ids ...int) (cmds []string) {
	for _, ms := range ids {
		cmds = append(cmds, fmt.Sprintf("XADD %%[1]s:other %d-0 data %d", ms, ms))
	}
	return cmds
}

func lastID(cmds []string) string {
	last := cmds[len(cmds)-1]
	if last == "EXEC" {
		last = cmds[len(cmds)-2]
	}
	return strings.Fields(last)[2]
}

// run sends commands to Redis, one after the other over one connection, as
// MULTI asks for. "expire" waits for Redis to expire a key by itself.
func run(t *testing.T, srv *redistest.Server, channel string, cmds ...string) {
	t.Helper()
	conn := srv.Client().Conn()
	defer conn.Close()
	expired := srv.Info("stats")["expired_keys"]
	for _, c := range cmds {
		if c == "expire" {
			redistest.Eventually(t, patience, "a key to expire", func() bool { return srv.Info("stats")["expired_keys"] != expired })
			continue
		}
		c = strings.ReplaceAll(strings.ReplaceAll(c, "%[1]s", "sse:"+channel), "%s", "sse:"+channel)
		var args []any
		for _, word := range strings.Fields(c) {
			args = append(args, word)
		}
		if err := conn.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%s: %v", c, err)
		}
	}
}

// settle waits until the tail has seen all that was done to the stream so far,
// by entries added to another channel: the first may be found without an
// invalidation; when the second is, that of the stream has arrived before; when
// the third is, the round of reads with the stream in it is over.
func settle(t *testing.T, s *testStore, channel string) {
	t.Helper()
	redistest.Eventually(t, patience, "the tail to settle", func() bool {
		n := s.source(channel).Node()
		return n != nil && n.Lag(time.Now()) == 0
	})
	probe := s.subscribe(t, "probe-"+channel)
	client := s.client(t)
	for range 4 {
		id, err := client.Do(t.Context(), "XADD", "sse:probe-"+channel, "*", "data", "x").Text()
		if err != nil {
			t.Fatal(err)
		}
		probe.awaitID(id)
	}
	probe.close()
}

// TestFlush empties the database, by either command, while nobody does anything
// else: the gap must come without a new entry.
func TestFlush(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openHealthy(t, srv.URL(), nil)
	for i, flush := range []string{"FLUSHALL", "FLUSHDB"} {
		channels := []string{fmt.Sprint("a", i), fmt.Sprint("b", i)}
		var readers []*reader
		for _, c := range channels {
			run(t, srv, c, x(10))
			readers = append(readers, s.subscribe(t, c))
			settle(t, s, c)
		}
		srv.Do(flush)
		for j, r := range readers {
			s.awaitGone(t, channels[j])
			run(t, srv, channels[j], x(2))
			r.awaitID("2-0")
			if got := r.texts(); !slices.Equal(got, []string{"gap(10-0,0-0 reset)", "2-0 2"}) {
				t.Errorf("%s: got %v", flush, got)
			}
		}
	}
	if s.sessions() != 1 || s.sweepFinds() != 0 {
		t.Errorf("%d sessions, %d finds of the sweep", s.sessions(), s.sweepFinds())
	}
}
