package main

import "time"

// schedule is when the publisher sends: event number k (from 0) at Start plus
// k/Rate seconds, to channel k modulo Channels.
type schedule struct {
	Start    int64   `json:"start"` // unix ns
	Rate     float64 `json:"rate"`  // events per second, over all channels
	Channels int     `json:"channels"`
}

// due returns the time (unix ns) of event number k.
func (s schedule) due(k int64) int64 {
	return s.Start + int64(float64(k)*float64(time.Second)/s.Rate)
}

// sentBy returns how many events of a channel are due at the time t or before.
func (s schedule) sentBy(channel int, t int64) int64 {
	if t < s.Start || s.Rate <= 0 {
		return 0
	}
	last := int64(float64(t-s.Start) / float64(time.Second) * s.Rate) // its number
	if last < int64(channel) {
		return 0
	}
	return (last-int64(channel))/int64(s.Channels) + 1
}
