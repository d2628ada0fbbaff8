package clients

import (
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// finalAnswers are those after which an EventSource does not come back.
var finalAnswers = []string{"204", "401"}

// TestFinalAnswers ends one channel of each client, and withdraws the right to another:
// some stop, and some ask again for ever.
func TestFinalAnswers(t *testing.T) { testFinalAnswers(t, clients) }

func testFinalAnswers(t *testing.T, list []client) {
	f := newFixture(t)
	type subscription struct {
		client
		*reader
		answer string
	}
	var all []subscription
	pages := pages{}
	for _, c := range list {
		for answer, channel := range map[string]string{"204": "ended", "401": "revoked"} {
			r := newReader(t, c.name+", "+c.how+", "+answer, f.gateways[0].addr, "channel="+channel+"&replay=all")
			all = append(all, subscription{c, r, answer})
			pages.start(c, r)
		}
	}
	pages.open(t, f.app)
	await := func(what, answer string, cond func(subscription) bool) {
		t.Helper()
		late := map[string]int{}
		if !redistest.Poll(patience, func() bool {
			clear(late)
			for _, s := range all {
				if s.answer == answer && !cond(s) {
					late[s.reader.name] = f.app.requests(s.reader.name)
				}
			}
			return len(late) == 0
		}) {
			t.Fatalf("waited %v for clients %s: %v", patience, what, late)
		}
	}
	f.redis.XAdd("sse:revoked", "data", "1")
	f.redis.XAdd("sse:ended", "data", "1")
	for _, answer := range finalAnswers {
		await("to be connected", answer, func(s subscription) bool { return s.last() == 1 })
	}
	const often = 5
	answered := func(s subscription) bool {
		n := f.app.requests(s.reader.name)
		// The library that takes any end for the last one does not even ask again.
		return n >= often || !strings.Contains(s.again, s.answer) && (n >= 2 || s.failsAt == roll)
	}
	f.redis.XAdd("sse:ended", "gateway.end", "1")
	await("to have got their answer", "204", answered)
	f.app.mu.Lock()
	f.app.revoked = true
	f.app.mu.Unlock()
	f.gateways[0].roll()
	await("to have got their answer", "401", answered)
	// Some time has passed, for those that ask again. The others have asked once more
	// than to connect, and another time if Redis was slow to confirm the end.
	for _, s := range all {
		if n := f.app.requests(s.reader.name); n > 3 && !strings.Contains(s.again, s.answer) {
			t.Errorf("%s has asked %d times", s.reader.name, n)
		}
	}
}

func (a *application) requests(name string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[name]
}
