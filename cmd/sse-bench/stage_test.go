package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// stage is what a chaos test takes place on: replicas, perhaps a balancer, and
// a directory that holds the logs of all, the schedule of the faults and the
// verdict. The directory stays if the test fails.
type stage struct {
	t        *testing.T
	dir      string
	replicas []*replica
	balancer *balancer
	loads    int // so far
	long     bool

	mu     sync.Mutex
	faults strings.Builder // guarded by mu
}

// newStage makes an empty stage.
func newStage(t *testing.T) *stage {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv("SSE_CHAOS_DIR"), "sse-chaos-")
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, dir: dir, long: os.Getenv("SSE_CHAOS") == "long"}
	t.Cleanup(s.close)
	return s
}

// close looks through the logs, and removes them if all is well.
func (s *stage) close() {
	if err := os.WriteFile(filepath.Join(s.dir, "faults.txt"), []byte(s.faults.String()), 0o600); err != nil {
		s.t.Error(err)
	}
	for _, r := range s.replicas {
		s.requireCleanLog(r)
	}
	if !s.t.Failed() {
		if err := os.RemoveAll(s.dir); err != nil {
			s.t.Error(err)
		}
		return
	}
	s.t.Logf("the logs, the schedule of the faults and the verdict are in %s", s.dir)
	for _, pattern := range []string{"verdict*.json", "progress*.txt"} {
		files, _ := filepath.Glob(filepath.Join(s.dir, pattern)) // the pattern is good
		for _, file := range files {
			if b, err := os.ReadFile(file); err == nil {
				s.t.Logf("%s:\n%s", filepath.Base(file), tailOf(string(b), 80))
			}
		}
	}
}

// requireCleanLog fails the test if a replica printed what it never may: also
// those of its lives that were killed count.
func (s *stage) requireCleanLog(r *replica) {
	b, err := os.ReadFile(r.logPath)
	if err != nil {
		s.t.Error(err)
	}
	for line := range strings.Lines(string(b)) {
		for _, bad := range []string{"DATA RACE", "panic", "fatal error"} {
			if strings.Contains(line, bad) {
				s.t.Errorf("%s printed: %s", r.name, line)
			}
		}
	}
}

// note puts a line into the schedule. Any goroutine may call it.
func (s *stage) note(format string, args ...any) {
	line := time.Now().Format("15:04:05.000 ") + fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.WriteString(line + "\n")
	s.t.Log(line)
}

// do notes a fault and carries it out; an error fails the test.
func (s *stage) do(what string, fault func() error) {
	s.t.Helper()
	if err := s.try(what, fault); err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

// try is do for any goroutine.
func (s *stage) try(what string, fault func() error) error {
	s.note("%s", what)
	err := fault()
	s.note("%s: done (%v)", what, err)
	return err
}

// startReplicas starts gateways, with these variables over the usual ones, and
// waits until they are ready.
func (s *stage) startReplicas(n int, redisURL string, env ...string) {
	s.t.Helper()
	path, err := gatewayBinary()
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range n {
		r := &replica{name: fmt.Sprintf("gateway-%d", i+1), public: redistest.FreeAddr(s.t), admin: redistest.FreeAddr(s.t)}
		r.path, r.logPath = path, filepath.Join(s.dir, r.name+".log")
		r.env = append(replicaEnv(redisURL, r.public, r.admin), env...)
		s.replicas = append(s.replicas, r)
		s.t.Cleanup(func() { s.end(r.kill) })
	}
	for _, r := range s.replicas {
		if err := r.startReady(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// startBalancer starts HAProxy in front of the replicas.
func (s *stage) startBalancer() {
	s.t.Helper()
	path := redistest.Command(s.t, "haproxy", "haproxy")
	s.balancer = newBalancer(path, filepath.Join(s.dir, "haproxy.log"), redistest.FreeAddr(s.t), redistest.FreeAddr(s.t), s.replicas)
	s.t.Cleanup(func() { s.end(s.balancer.end) })
	if err := s.balancer.startReady(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) end(how func() error) {
	if err := how(); err != nil {
		s.t.Error(err)
	}
}

// urls are the replicas' base URLs, as sse-bench takes them.
func (s *stage) urls() string {
	var list []string
	for _, r := range s.replicas {
		list = append(list, "http://"+r.public)
	}
	return strings.Join(list, ",")
}
