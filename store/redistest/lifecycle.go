package redistest

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// stopTimeout is for a server to end after SIGTERM; with replicas it first
// waits for them, up to its shutdown-timeout of 1 s.
const stopTimeout = 15 * time.Second

// Alive reports whether the process is there, frozen or not. Any goroutine may
// call it.
func (s *Server) Alive() bool {
	r := s.run.Load()
	return r != nil && !r.exited()
}

// responsive reports whether the process is there and not frozen.
func (s *Server) responsive() bool { return s.Alive() && !s.paused.Load() }

// Kill ends the process with SIGKILL and returns when it is gone: nothing is
// saved or said. On a server that is down it does nothing.
func (s *Server) Kill() {
	s.t.Helper()
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	if err := s.run.Load().kill(); err != nil {
		s.t.Fatalf("killing redis-server on %s: %v", s, err)
	}
}

// Stop ends the process with SIGTERM, frozen or not, and returns when it is
// gone. On a server that is down it does nothing.
func (s *Server) Stop() {
	s.t.Helper()
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	s.stop()
}

func (s *Server) stop() {
	s.t.Helper()
	r := s.run.Load()
	if r.exited() {
		return
	}
	s.signal(r, syscall.SIGTERM)
	s.signal(r, resumeSignal)
	if !r.wait(stopTimeout) {
		s.t.Fatalf("redis-server on %s is still there %v after SIGTERM", s, stopTimeout)
	}
}

// Restart starts the server again on its port and in its directory, after Stop
// if it is running, and returns when it answers. With WithAOF the data is there
// again.
func (s *Server) Restart() {
	s.t.Helper()
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	s.stop()
	// The address is the server's name to others, so there is no other port to
	// turn to; but whoever has it may be a short-lived test.
	var err error
	Poll(settleTimeout, func() bool {
		err = s.boot()
		return !errors.Is(err, errPortTaken)
	})
	if err != nil {
		s.t.Fatalf("restarting redis-server on %s: %v", s, err)
	}
}

// Pause freezes the process (SIGSTOP): its connections stay open, the kernel
// still accepts new ones for it, and nothing is answered.
func (s *Server) Pause() {
	s.t.Helper()
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	s.signal(s.run.Load(), pauseSignal)
	s.paused.Store(true)
}

// Resume lets a frozen process go on (SIGCONT).
func (s *Server) Resume() {
	s.t.Helper()
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	s.signal(s.run.Load(), resumeSignal)
	s.paused.Store(false)
}

func (s *Server) signal(r *run, sig os.Signal) {
	s.t.Helper()
	err := r.process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) && (sig == resumeSignal || sig == syscall.SIGTERM) {
		return // it ended by itself meanwhile, which is what was wanted
	}
	if err != nil {
		s.t.Fatalf("sending %v to redis-server on %s: %v", sig, s, err)
	}
}
