package store

import (
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// Redis is silent for as long as it really is, however the clock is set: it is
// not told to be away, or to be there, for that.
func TestSilenceWhenTheClockIsSet(t *testing.T) {
	srv := redistest.Start(t)
	st, err := Open(testConfig(t, srv.URL()))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	n := st.topo.(*singleTopology).node // nobody runs it
	for _, d := range []time.Duration{-time.Hour, time.Hour} {
		proved := time.Now()
		n.prove(proved)
		for silent, away := range map[time.Duration]bool{0: false, StalledAfter - 1: false, StalledAfter: true, time.Minute: true} {
			now := redistest.SetClock(t, proved.Add(silent), d)
			n.updateStalled(now)
			since, stalled := n.stalledSince()
			if alive := n.isAlive(now); alive == away || stalled != away {
				t.Errorf("silent for %v, with the clock set by %v: alive %v, stalled %v", silent, d, alive, stalled)
			}
			if away && since.UnixNano() != proved.UnixNano() {
				t.Errorf("stalled since %v, want %v", since, proved)
			}
		}
		rs := &replicaSet{node: n}
		rs.current.Store(&server{replica: true})
		rs.provenAt.Store(proved)
		if lag := rs.lag(redistest.SetClock(t, proved.Add(time.Second), d)); lag != time.Second {
			t.Errorf("with the clock set by %v a replica is behind by %v, want a second", d, lag)
		}
	}
}

// Whether the answer to a ping has come does not depend on the clock.
func TestAnswerWhenTheClockIsSet(t *testing.T) {
	s := &session{tracking: true, pinged: time.Now()}
	if s.hasAnswered() {
		t.Error("a session that never had an answer has one")
	}
	for _, d := range []time.Duration{-time.Hour, time.Hour} {
		for lead, want := range map[time.Duration]bool{-time.Second: false, 0: true, time.Second: true} {
			s.pong.Store(redistest.SetClock(t, s.pinged.Add(lead), d))
			if got := s.hasAnswered(); got != want {
				t.Errorf("an answer %v after the question, with the clock set by %v, is one: %v", lead, d, got)
			}
		}
	}
}
