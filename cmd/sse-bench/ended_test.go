package main

import (
	"net/http"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// A channel that ends is no fault, whether or not the end was told before the stream
// broke; one that ends before the subscriber has everything is.
func TestEndOfChannelsIsNoFault(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	end := "event: gateway.end\ndata: {\"channel\":\"x\"}\n\n"
	for _, tt := range []struct {
		name       string
		after      string // the last event
		events     int    // of each channel, of 60
		ends, lost int64
		code       int
	}{
		{"told", end, 60, 12, 0, exitOK},
		{"broken before", "", 60, 0, 0, exitOK},
		{"too early", end, 40, 12, 240, exitFail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := startFake(t, r, func(f *fakeServer) {
				f.until = tt.events
				f.mangle = func(_ int64, n int, frame string) []string {
					if n == tt.events {
						return []string{frame, tt.after}
					}
					return []string{frame}
				}
				f.refuse = func(conn int64, w http.ResponseWriter) bool {
					if conn > 12 {
						w.WriteHeader(http.StatusNoContent)
					}
					return conn > 12
				}
			})
			code, rep := bench1(t, small(r, f.URL)...)
			i := rep.Integrity
			if code != tt.code || i.Lost != tt.lost || i.Ends != tt.ends || i.Refused != 0 || i.Ended > 12 || tt.code == exitFail && i.Ended != 12 {
				t.Errorf("exit %d, %v, %+v", code, rep.Failures, i)
			}
		})
	}
}
