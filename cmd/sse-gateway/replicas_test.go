package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/cmd/sse-gateway/gatewaytest"
	"github.com/sse-gateway/sse-gateway/gateway/console"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// tourRig is a running dev and a channel of its tour.
type tourRig struct {
	*inProcess
	t       *testing.T
	channel string
}

// post sends the page's own kind of request and returns the answer.
func (r *tourRig) post(path string, request any) (status int, answer map[string]any) {
	r.t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := http.Post("http://"+r.public+path, "application/json", strings.NewReader(string(body)))
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, answer
}

func (r *tourRig) publish(e console.Event) (id string) {
	r.t.Helper()
	e.Channel = r.channel
	status, answer := r.post("/console/publish", e)
	if status != http.StatusOK {
		r.t.Fatalf("publishing is answered %d %v", status, answer)
	}
	return answer["id"].(string)
}

func (r *tourRig) subscribe(query string, header ...string) *client {
	r.t.Helper()
	return subscribe(r.t, transport(r.t, 1, nil), "http://"+r.public+"/console/tour/events?channel="+r.channel+query, header...)
}

func (r *tourRig) replicas() (list []console.Replica) {
	r.t.Helper()
	_, body := fetch(r.t, "http://"+r.public+"/console/tour/replicas", nil)
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list) != 2 {
		r.t.Fatalf("the replicas are %s: %v", body, err)
	}
	return list
}

// up returns which of the two replicas are up.
func (r *tourRig) up() [2]bool { l := r.replicas(); return [2]bool{l[0].Up, l[1].Up} }

func startTourRig(t *testing.T) *tourRig {
	t.Helper()
	leaveNothing(t)
	gatewaytest.SetEnv(t, "SSE_ADDR=127.0.0.1:0", "SSE_ADMIN_ADDR=127.0.0.1:0", "SSE_DRAIN_DELAY=0s", "SSE_DRAIN_WINDOW=0s")
	return &tourRig{inProcess: startRun(t, "dev"), t: t, channel: "sse-gateway.tour:test"}
}

// What the tour says of a killed replica is so: its connections break off amid the
// answer, the other one goes on where it was, and it comes back itself.
func TestTourKillsReplica(t *testing.T) {
	r := startTourRig(t)
	c := r.subscribe("&replay=all").ready(t)
	r.publish(console.Event{Data: "one"})
	c.requireData(t, "one")
	if l := r.replicas(); len(l[0].Channels) != 1 || len(l[1].Channels) != 0 {
		t.Errorf("the replicas are %+v, want the channel on the first", l)
	}
	status, answer := r.post("/console/tour/kill", map[string]string{"channel": r.channel})
	if status != http.StatusOK || answer["killed"] != "A" {
		t.Fatalf("the kill is answered %d %v", status, answer)
	}
	c.awaitEnd(t, patience)
	if c.endErr == io.EOF {
		t.Error("the stream of a killed replica ended in order")
	}
	if r.up() != [2]bool{false, true} {
		t.Errorf("after the kill the replicas are %+v", r.replicas())
	}
	r.publish(console.Event{Data: "two"})
	c = r.subscribe("", "Last-Event-ID", c.position()).ready(t)
	c.requireData(t, "two")
	redistest.Eventually(t, patience, "the killed replica is back", func() bool { return r.up() == [2]bool{true, true} })

	// With both away a browser is told to come back.
	for _, want := range []string{"B", "A"} {
		if _, answer := r.post("/console/tour/kill", map[string]string{"channel": r.channel}); answer["killed"] != want {
			t.Fatalf("the kill of %s is answered %v", want, answer)
		}
		c.awaitEnd(t, patience)
		if want == "B" {
			c = r.subscribe("").ready(t)
		}
	}
	if c = r.subscribe(""); c.status != http.StatusOK {
		t.Errorf("without a replica the status is %d", c.status)
	}
	redistest.Eventually(t, patience, "both are back", func() bool { return r.up() == [2]bool{true, true} })
	r.subscribe("").ready(t)
	r.stop(t) // with a stream open
}

// The streams of the tour can be trimmed and ended, and expire; others cannot be
// trimmed, nor subscribed to by way of the balancer.
func TestTourChannels(t *testing.T) {
	r := startTourRig(t)
	c := r.subscribe("&replay=all").ready(t)
	position := r.publish(console.Event{Data: "seen"})
	c.requireData(t, "seen")
	// What A has in memory Redis cannot take from it.
	if status, answer := r.post("/console/tour/kill", map[string]string{"channel": r.channel}); status != http.StatusOK {
		t.Fatalf("the kill is answered %d %v", status, answer)
	}
	for range 9 {
		r.publish(console.Event{Data: "away", Keep: 2})
	}
	c = r.subscribe("", "Last-Event-ID", position).ready(t)
	var gap struct{ Channel, After, Reason string }
	if e := c.next(t); e.name != "gateway.gap" || json.Unmarshal([]byte(e.data), &gap) != nil || gap.Channel != r.channel || gap.After != position || gap.Reason != "trimmed" {
		t.Errorf("after a trim came %+v", e)
	}
	c.requireData(t, "away")
	c.requireData(t, "away")
	r.publish(console.Event{End: true})
	end := c.nextNamed(t, "gateway.end")
	if c := r.subscribe("", "Last-Event-ID", end.id); c.status != http.StatusNoContent {
		t.Errorf("after the end the status is %d, want 204", c.status)
	}
	if c := subscribe(t, transport(t, 1, nil), "http://"+r.public+"/console/tour/events?channel=orders"); c.status/100 != 4 {
		t.Errorf("another channel is answered %d", c.status)
	}
	if status, answer := r.post("/console/publish", console.Event{Channel: "orders", Data: "x", Keep: 1}); status != http.StatusBadRequest {
		t.Errorf("trimming another channel is answered %d %v", status, answer)
	}
	r.stop(t)
}
