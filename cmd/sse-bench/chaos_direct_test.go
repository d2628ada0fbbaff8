package main

import (
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// Without a load balancer the subscribers of a replica that is killed go on at
// another address of their list, from their Last-Event-ID.
func TestChaosDirect(t *testing.T) {
	t.Parallel()
	const subscribers = 60
	s := newStage(t)
	r := redistest.Start(t, redistest.WithAOF())
	s.startReplicas(3, r.URL())
	l := s.startLoad("--gateway", s.urls(), "--redis", r.URL(), "--no-gaps",
		"--subscribers", "60", "--channels", "15", "--rate", "60")
	l.awaitConnected(subscribers)
	for i, victim := range s.replicas {
		others := []*replica{s.replicas[(i+1)%3], s.replicas[(i+2)%3]}
		resumed := -s.sum(others, "sse_gateway_resumes_total", "complete")
		lost := s.sum([]*replica{victim}, "sse_gateway_connections")
		s.do("kill -9 "+victim.name, victim.kill)
		l.await("the others have all subscribers", func() bool {
			return s.sum(others, "sse_gateway_connections") == subscribers
		})
		resumed += s.sum(others, "sse_gateway_resumes_total", "complete")
		if lost == 0 || resumed < lost {
			t.Errorf("%s had %v subscribers, %v were resumed on the others", victim.name, lost, resumed)
		}
		s.do("start "+victim.name, victim.startReady)
	}
	code, report := l.finish()
	l.requireIntact(code, report)
}

// sum adds up a series of replicas.
func (s *stage) sum(replicas []*replica, name string, has ...string) float64 {
	s.t.Helper()
	total := 0.0
	for _, r := range replicas {
		v, err := r.metric(name, has...)
		if err != nil {
			s.t.Fatal(err)
		}
		total += v
	}
	return total
}
