package load

import "time"

// schedule is when the publisher sends: event number k (from 0) at Start plus
// k/Rate seconds, to channel k modulo Channels.
type schedule struct {
	Start    int64   // unix ns
	Rate     float64 // events per second, over all channels
	Channels int
}

// due returns the time (unix ns) of event number k.
func (s schedule) due(k int64) int64 {
	return s.Start + int64(float64(k)*float64(time.Second)/s.Rate)
}

// unixNow is the clock of send times.
func unixNow() int64 { return time.Now().UnixNano() }
