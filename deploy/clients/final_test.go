package clients

import (
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// finalAnswers are those after which an EventSource does not come back.
var finalAnswers = []string{"204", "401"}

// endedStream is a stream of a client that gets a final answer when it comes back:
// some clients stop then, and some ask again for ever.
type endedStream struct {
	client
	*reader
	answer string
}

// endedStreams are those of all clients, at the first gateway.
type endedStreams struct {
	f   *fixture
	all []endedStream
}

func startEndedStreams(t *testing.T, f *fixture, list []client, pages pages) *endedStreams {
	t.Helper()
	e := &endedStreams{f: f}
	for _, c := range list {
		for answer, channel := range map[string]string{"204": "ended", "401": "revoked"} {
			r := newReader(t, c.name+", "+c.how+", "+answer, f.gateways[0].addr, "channel="+channel+"&replay=all")
			e.all = append(e.all, endedStream{c, r, answer})
			pages.start(c, r)
		}
	}
	return e
}

// end ends the channel of one stream of each client.
func (e *endedStreams) end() {
	e.f.t.Helper()
	e.f.redis.XAdd("sse:revoked", "data", "1")
	e.f.redis.XAdd("sse:ended", "data", "1")
	for _, answer := range finalAnswers {
		e.await("to be connected", answer, func(s endedStream) bool { return s.last() == 1 })
	}
	e.f.redis.XAdd("sse:ended", "gateway.end", "1")
	e.await("to have got their answer", "204", e.answered)
}

// revoke withdraws the right to another, for when the first gateway is rolled.
func (e *endedStreams) revoke() {
	e.f.app.mu.Lock()
	defer e.f.app.mu.Unlock()
	e.f.app.revoked = true
}

// check checks, when the first gateway has been rolled once, who has asked again.
func (e *endedStreams) check() {
	e.f.t.Helper()
	e.await("to have got their answer", "401", e.answered)
	// Some time has passed, for those that ask again. The others have asked once more
	// than to connect, and another time if Redis was slow to confirm the end.
	for _, s := range e.all {
		if n := e.f.app.requests(s.reader.name); n > 3 && !strings.Contains(s.again, s.answer) {
			e.f.t.Errorf("%s has asked %d times", s.reader.name, n)
		}
	}
}

// answered reports whether a client has got its answer, and gone on for a while if it
// is one that does.
func (e *endedStreams) answered(s endedStream) bool {
	const often = 5
	n := e.f.app.requests(s.reader.name)
	// The library that takes any end for the last one does not even ask again.
	return n >= often || !strings.Contains(s.again, s.answer) && (n >= 2 || s.failsAt == roll)
}

// await waits until cond is true of all streams that get an answer.
func (e *endedStreams) await(what, answer string, cond func(endedStream) bool) {
	e.f.t.Helper()
	late := map[string]int{}
	if !redistest.Poll(patience, func() bool {
		clear(late)
		for _, s := range e.all {
			if s.answer == answer && !cond(s) {
				late[s.reader.name] = e.f.app.requests(s.reader.name)
			}
		}
		return len(late) == 0
	}) {
		e.f.t.Fatalf("waited %v for clients %s: %v", patience, what, late)
	}
}

func (a *application) requests(name string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[name]
}
