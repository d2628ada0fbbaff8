package main

import (
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// A run with --compressed gets the same events in fewer bytes, on each engine, and fails
// if a gateway does not compress.
func TestCompressedRun(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	s := newStage(t)
	s.startReplicas(1, r.URL(), "SSE_COMPRESSION=gzip")
	args := small(r, s.urls(), "--data", "json", "--size", "2000", "--no-gaps")
	code, plain := bench1(t, args...)
	if code != exitOK {
		t.Fatalf("exit %d, failures %v", code, plain.Failures)
	}
	for _, more := range [][]string{{"--engine", "epoll"}, {"--engine", "goroutine"}, {"--channels-each", "2", "--processes", "2"}} {
		t.Run(strings.Join(more, " "), func(t *testing.T) {
			code, rep := bench1(t, append(append(args, "--compressed"), more...)...)
			if code != exitOK || !rep.Pass || len(rep.Integrity.Faults) > 0 {
				t.Fatalf("exit %d, failures %v, %v", code, rep.Failures, rep.Integrity)
			}
			before, after := plain.Deliver.Bytes/plain.Deliver.Events, rep.Deliver.Bytes/rep.Deliver.Events
			if after > before/2 {
				t.Errorf("%d bytes a delivery, and %d without compression", after, before)
			}
		})
	}
	f := startFake(t, r)
	if code, rep := bench1(t, small(r, f.URL, "--compressed", "--ready-timeout", "20s")...); code != exitFail || rep.Integrity.Refusals["a stream without compression"] != 12 {
		t.Errorf("a server that does not compress: exit %d, %v", code, rep.Integrity)
	}
}
