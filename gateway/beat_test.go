package gateway

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/internal/reactor"
	"github.com/sse-gateway/sse-gateway/gateway/sse"
)

// That a stream is given a goroutine is nothing that its client is sent: the
// sse.Heartbeat comes when it would have come.
func TestHeartbeatOfOneThatWasParked(t *testing.T) {
	requireDriven(t, sse.Heartbeat+"retry: ", func(s *stream) string {
		s.parked.beat = reactor.Nanos(time.Now().Add(time.Second))
		s.grantEnd = time.Now().Add(2 * time.Second).UnixNano()
		return ""
	})
}

// Nor is it that the goroutine ends, unless something was written.
func TestHeartbeatOfOneThatIsParkedAgain(t *testing.T) {
	for rest, want := range map[string]time.Duration{"": time.Second, sse.Heartbeat: 15 * time.Second * 8 / 10} {
		synctest.Test(t, func(t *testing.T) {
			server, client := net.Pipe()
			defer server.Close()
			go client.Read(make([]byte, 10))
			s := bareStream()
			defer s.g.cancel()
			now := time.Now()
			s.parked.beat = reactor.Nanos(now.Add(time.Second))
			if reason := s.drive(newTakenConn(server, true), []byte(rest)); reason != "" {
				t.Fatalf("the stream ended: %s", reason)
			}
			if left := reactor.Time(s.parked.beat).Sub(now); left < want || left > want*3/2 {
				t.Errorf("after %q the sse.Heartbeat is due in %v, want %v", rest, left, want)
			}
		})
	}
}
