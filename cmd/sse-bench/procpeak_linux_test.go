package main

import "testing"

func TestParsePeak(t *testing.T) {
	for status, want := range map[string]int64{
		"Name:\tgateway\nVmPeak:\t  300 kB\nVmHWM:\t    9876 kB\nVmRSS:\t 5 kB\n": 9876 << 10,
		"Name:\tended\n": 0,
		"VmHWM:\tx kB\n": 0,
	} {
		if got := parsePeak([]byte(status)); got != want {
			t.Errorf("%q: %d, want %d", status, got, want)
		}
	}
}
