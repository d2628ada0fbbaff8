package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// printedEvent is a line of subscribe.mjs.
type printedEvent struct{ Event, Data, ID string }

func printedEvents(t *testing.T, out *redistest.Output) []printedEvent {
	t.Helper()
	var events []printedEvent
	for _, line := range out.Lines() {
		var e printedEvent
		if json.Unmarshal([]byte(line), &e) == nil {
			events = append(events, e)
		}
	}
	return events
}

// The fetch-based client gets everything over a crash of the gateway, asks for a
// token before each connection, and goes on where it was.
func TestFetchClientResumes(t *testing.T) {
	a := startApp(t)
	var asked atomic.Int64
	token := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		tokens(secret, tokenLife).ServeHTTP(w, r)
	}))
	defer token.Close()
	out, _ := background(t, []string{"TOKEN_URL=" + token.URL}, redistest.Command(t, "node", "nodejs"), "subscribe.mjs", a.URL+"/events?channel=private:demo")

	got := func(n int) []printedEvent {
		t.Helper()
		var events []printedEvent
		redistest.Eventually(t, patience, "the client prints its events", func() bool {
			events = nil
			for _, e := range printedEvents(t, out) {
				if !strings.HasPrefix(e.Event, "gateway.") {
					events = append(events, e)
				}
			}
			return len(events) >= n
		})
		return events
	}
	redistest.Eventually(t, patience, "the client is connected", func() bool { return len(printedEvents(t, out)) > 0 })
	var want []printedEvent
	add := func(name, data string) {
		e := printedEvent{Event: name, Data: data}
		if name == "message" {
			e.ID = a.redis.XAdd("sse:private:demo", "data", data)
		} else {
			e.ID = a.redis.XAdd("sse:private:demo", "data", data, "event", name)
		}
		want = append(want, e)
	}
	add("message", "one: with a colon")
	add("created", "two\n\n  lines – €")
	got(2)
	before := asked.Load()
	a.gateway.kill()
	add("message", "while it was away")
	a.awaitRetry(t)
	a.gateway.start()
	got(3)
	add("message", strings.Repeat("long ", 50_000))
	for i, e := range got(len(want)) {
		if e != want[i] {
			t.Errorf("event %d is %.200q, want %.200q", i, e, want[i])
		}
	}
	if asked.Load() == before {
		t.Error("no new token for the new connection")
	}
}

// A refusal that will not pass ends the client with the gateway's words.
func TestFetchClientIsRefused(t *testing.T) {
	a := startApp(t)
	sign := func(channels ...string) string {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"exp": time.Now().Add(time.Minute).Unix(), "channels": channels,
		}).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for name, c := range map[string]struct{ token, want string }{
		"no token":      {"", "401"},
		"a bad token":   {"nonsense", "401"},
		"other channel": {sign("private:other"), "403"},
	} {
		t.Run(name, func(t *testing.T) {
			out, cmd := background(t, []string{"TOKEN=" + c.token}, redistest.Command(t, "node", "nodejs"), "subscribe.mjs", a.URL+"/events?channel=private:demo")
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case err := <-ended:
				if err == nil || !strings.HasPrefix(out.String(), c.want) || !strings.Contains(out.String(), `"detail"`) {
					t.Errorf("ended with %v, saying %s", err, out)
				}
			case <-time.After(patience):
				t.Fatal("it did not end")
			}
		})
	}
}

// Leaving the loop ends the connection, and so does the signal.
func TestFetchClientLeaves(t *testing.T) {
	a := startApp(t)
	connections := func() string { return a.gateway.metric(t, "sse_gateway_connections ") }
	script := `
		import { events } from "./pages/sse.mjs";
		const url = process.argv[1];
		for await (const e of events(url)) { console.log(e.event); break; }
		console.log("left");
		const stop = new AbortController();
		try {
			for await (const e of events(url, { signal: stop.signal })) { console.log(e.event); stop.abort(); }
		} catch (error) { console.log(error.name); }
		setTimeout(() => {}, 60000);`
	out, _ := background(t, nil, redistest.Command(t, "node", "nodejs"), "--input-type=module", "-e", script, a.URL+"/events?channel=orders")
	redistest.Eventually(t, patience, "it leaves twice", func() bool {
		return strings.Join(out.Lines(), " ") == "gateway.ready left gateway.ready AbortError"
	})
	redistest.Eventually(t, patience, "no connection is left", func() bool { return connections() == "0" })
}

// metric returns the value of a series of the gateway.
func (g *gateway) metric(t *testing.T, series string) string {
	t.Helper()
	res, err := http.Get("http://" + g.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body redistest.Output
	if _, err := io.Copy(&body, res.Body); err != nil {
		t.Fatal(err)
	}
	for _, line := range body.Lines() {
		if value, ok := strings.CutPrefix(line, series); ok {
			return value
		}
	}
	t.Fatalf("no series %s", series)
	return ""
}

// A channel that has ended ends the client: it gets everything, is told, and does not
// ask again.
func TestFetchClientEnds(t *testing.T) {
	a := startApp(t)
	out, cmd := background(t, nil, redistest.Command(t, "node", "nodejs"), "subscribe.mjs", a.URL+"/events?channel=orders")
	redistest.Eventually(t, patience, "the client is connected", func() bool { return len(printedEvents(t, out)) > 0 })
	a.redis.XAdd("sse:orders", "data", "one")
	a.redis.XAdd("sse:orders", "data", "two", "gateway.end", "1")
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	var got []string
	for _, e := range printedEvents(t, out) {
		got = append(got, e.Event+" "+e.Data)
	}
	if want := []string{"message one", "message two", `gateway.end {"channel":"orders"}`}; len(got) != 4 || !slices.Equal(got[1:], want) {
		t.Errorf("got %q, want %q after the first", got, want)
	}
}
