package gateway

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// Envelopes that are written in parts are whole, for a client that takes its
// time, one that does not, and one that comes back; and what is written is
// counted.
func testLargeEnvelopes(t *testing.T, e *harness, recvBuf int) {
	ch := channelOf(t)
	clients := []*engineClient{
		e.connect(ch, clientSetup{query: "&envelope=json", recvBuf: recvBuf}),
		e.connect(ch+","+ch+":2", clientSetup{query: "&envelope=json", recvBuf: recvBuf}),
	}
	e.awaitConnections(len(clients))
	deliveries := e.m.Gateway.Namespaces.Of("").Deliveries
	data := []string{"first"}
	e.publish(ch, data...)
	for _, c := range clients {
		c.awaitMessages(1)
	}
	redistest.Eventually(t, enginePatience, "the first events to be counted, and all before them", func() bool {
		return valueOfMetric(deliveries) == len(clients)
	})
	ready := valueOfMetric(e.m.Gateway.DeliveryBytes) - bytesOf(clients) // the heads of the responses
	for i, char := range []string{"\x01", "\n", "é", "\"", "\U0001F600", "x", "\x7f\n"} {
		data = append(data, strings.Repeat(char, 6000*(i+1)))
	}
	data = append(data, letters(200_000)) // fills the sockets of compressed streams, too
	e.publish(ch, data[1:]...)
	if e.parks() && recvBuf > 0 {
		redistest.Eventually(t, enginePatience, "the sockets to be full", func() bool { return e.parked() == 0 })
	}
	for _, c := range clients {
		c.awaitMessages(len(data))
	}
	// A stream whose last write was slow is not parked before the next.
	data = append(data, "last")
	e.publish(ch, "last")
	for _, c := range clients {
		c.awaitMessages(len(data))
		c.checkEnvelopes(ch, data)
	}
	redistest.Eventually(t, enginePatience, "what was written to be counted", func() bool {
		// A message is there before the last bytes of its chunk, or of its block.
		for _, c := range clients {
			_ = c.readUntil(time.Now().Add(10*time.Millisecond), func() bool { return false })
		}
		return valueOfMetric(e.m.Gateway.DeliveryBytes) == ready+bytesOf(clients) &&
			valueOfMetric(deliveries) == len(clients)*len(data)
	})
	e.awaitConnections(len(clients))
	back := e.connect(ch, clientSetup{query: "&envelope=json", lastID: clients[0].messages()[1].ID})
	back.awaitMessages(len(data) - 2)
	back.checkEnvelopes(ch, data[2:])
}

// checkEnvelopes fails unless the messages are the data, in envelopes.
func (c *engineClient) checkEnvelopes(channel string, data []string) {
	c.t.Helper()
	for i, m := range c.messages() {
		var in struct{ Channel, ID, Event, Data string }
		if err := json.Unmarshal([]byte(m.Data), &in); err != nil {
			c.t.Fatalf("message %d is %.100q (%d bytes): %v", i, m.Data, len(m.Data), err)
		}
		if in.Channel != channel || in.Event != "message" || in.Data != data[i] || !strings.Contains(m.ID, in.ID) {
			c.t.Fatalf("message %d, with id %s, is of %s, %s: %.100q, want %.100q", i, m.ID, in.Channel, in.ID, in.Data, data[i])
		}
	}
}

// bytesOf returns how many bytes the clients have read of their streams.
func bytesOf(clients []*engineClient) (n int) {
	for _, c := range clients {
		n += c.size
	}
	return n
}
