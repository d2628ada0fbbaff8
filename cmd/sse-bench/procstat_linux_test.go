package main

import (
	"os"
	"testing"
)

func TestProcStat(t *testing.T) {
	s, err := parseProcStat([]byte("7 (a) b (c) S 1 7 7 0 -1 4194304 1 0 0 0 250 150 0 0 20 0 5 0 100 1000 42 18446744073709551615"))
	if err != nil || s.user != 2.5 || s.system != 1.5 || s.rss != 42*int64(os.Getpagesize()) {
		t.Errorf("%+v %v", s, err)
	}
	if _, err := parseProcStat([]byte("7 (a")); err == nil {
		t.Error("half a line was read")
	}
}
