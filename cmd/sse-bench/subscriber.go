package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// phase is where a subscriber's connection stands.
type phase uint8

const (
	phaseAway   phase = iota // not connected, or connecting
	phaseHead                // request sent, response head not complete
	phaseBody                // 200 and text/event-stream
	phaseClosed              // refused, or all channels have ended: an EventSource never comes back from this
)

// outcome tells an engine what to do with a connection after feed.
type outcome uint8

const (
	keepReading outcome = iota
	streamOver          // close it and call ended
)

// subscriber follows the rules of a browser's EventSource: it honours retry:,
// remembers the last event id, comes back after the end of a stream, and gives
// up for good on any answer but 200 with text/event-stream. All of it is
// guarded by its group's mu; engines drive it through the group's methods.
type subscriber struct {
	g        *group
	index    int // over all processes
	channels []channelState
	sse      sseParser
	head     headParser
	body     bodyReader
	retryMs  int64
	target   int    // index of the address in use
	readyAt  int64  // unix ns at which the current stream was ready, 0 if it is not
	firstAt  int64  // readyAt of the first stream
	position string // of the first gateway.ready, for those who join
	phase    phase
	resumed  bool // uses the addresses for the return
}

// request starts an attempt: it resets what belongs to the connection before
// and appends the HTTP request to b.
func (s *subscriber) request(b []byte) []byte {
	s.phase, s.readyAt = phaseHead, 0
	s.head.reset()
	s.sse.reset()
	return s.g.appendRequest(b, s)
}

// feed takes bytes that the connection has received at the time now (unix ns).
func (s *subscriber) feed(p []byte, now int64) outcome {
	g := s.g
	g.now = now
	g.tally.Bytes += int64(len(p))
	if s.phase == phaseHead {
		r, used, done, err := s.head.feed(p)
		if err != nil {
			g.tally.fault("protocol: " + err.Error())
			s.phase = phaseAway
			return streamOver
		}
		if !done {
			return keepReading
		}
		if r.status != 200 || !r.eventStream {
			s.refuse(r)
			return streamOver
		}
		s.phase = phaseBody
		s.body.reset(r)
		if !g.cfg.Native {
			s.ready()
		}
		p = p[used:]
	}
	for len(p) > 0 {
		var data []byte
		var err error
		data, p, err = s.body.next(p)
		if len(data) > 0 {
			s.sse.feed(data, s)
		}
		if err != nil {
			return streamOver
		}
	}
	if s.body.done() {
		return streamOver
	}
	return keepReading
}

func (s *subscriber) refuse(r responseHead) {
	s.phase = phaseClosed
	if r.status == http.StatusNoContent && s.firstAt != 0 {
		s.g.tally.Ended++ // what it has not got by then is judged like everybody's
		return
	}
	reason := fmt.Sprintf("status %d", r.status)
	if r.status == 200 {
		reason = "status 200 without text/event-stream"
	}
	s.g.tally.Refused++
	s.g.tally.Refusals[reason]++
}

// ready notes that the server has fixed the position of this stream.
func (s *subscriber) ready() {
	if s.readyAt != 0 {
		return
	}
	t := &s.g.tally
	s.readyAt = s.g.now
	t.Ready++
	t.LastReadyAt = s.g.now
	if s.firstAt == 0 {
		s.firstAt = s.g.now
		if s.g.cfg.joining() {
			s.position = string(s.sse.lastID)
		}
		t.EverReady++
		return
	}
	t.Reconnects++
}

// ended is called once for every attempt, when its connection has ended or
// could not be made. fault is empty for an end without an error. It returns
// after how long to try again, and false when the subscriber is closed for good.
func (s *subscriber) ended(fault string) (wait time.Duration, again bool) {
	t := &s.g.tally
	if s.readyAt != 0 {
		t.Ready--
		s.readyAt = 0
	}
	if s.phase == phaseClosed {
		return 0, false
	}
	if fault == "" && s.phase == phaseHead {
		fault = "closed before the response head was complete"
	}
	if fault != "" {
		t.fault(fault)
	}
	s.phase = phaseAway
	s.target++
	return time.Duration(s.retryMs) * time.Millisecond, true
}

// leave is ended for a stream that the tool itself has closed. The next stream
// goes to the addresses for the return.
func (s *subscriber) leave() {
	if s.readyAt != 0 {
		s.g.tally.Ready--
		s.readyAt = 0
	}
	if s.phase != phaseClosed {
		s.phase = phaseAway
		s.target++
		s.resumed = true
	}
}

func (s *subscriber) retry(ms int64) { s.retryMs = ms }

func (s *subscriber) event(kind eventKind, data []byte) {
	switch kind {
	case kindReady:
		s.ready()
	case kindGap:
		s.gap(data)
	case kindEnd:
		s.g.tally.Ends++
	default:
		s.message(data)
	}
}

func (s *subscriber) message(data []byte) {
	g, t := s.g, &s.g.tally
	p, ok := parsePayload(data, g.cfg.Run)
	if !ok {
		t.Foreign++
		return
	}
	c := s.channel(p.channel)
	if c == nil {
		t.Misrouted++
		return
	}
	t.Delivered++
	delay := g.now - p.due
	t.All.add(delay)
	t.Worst = max(t.Worst, delay)
	if p.due < s.readyAt {
		t.CatchUp.add(delay)
	}
	if c.take(p.seq, g.cfg.joining()) == again {
		return
	}
	t.LastEventAt = g.now
	if g.overdue {
		c.overdue(delay, p.due < s.readyAt)
	}
}

// channel returns the state of a channel by its index, nil when this subscriber
// did not ask for it.
func (s *subscriber) channel(index int) *channelState {
	for i := range s.channels {
		if s.g.cfg.channelOf(s.index, i) == index {
			return &s.channels[i]
		}
	}
	return nil
}

func (s *subscriber) gap(data []byte) {
	var gap struct{ Channel, After, Resumed, Reason string }
	if err := json.Unmarshal(data, &gap); err != nil {
		gap.Reason = "unreadable"
	}
	s.g.tally.GapEvents[gap.Reason]++
	for i := range s.channels {
		name := s.g.cfg.channelName(s.g.cfg.channelOf(s.index, i))
		if len(s.channels) > 1 && name != gap.Channel {
			continue
		}
		s.channels[i].gap(announced{gap.After, gap.Resumed, kindOfGap(gap.Reason)})
		s.g.noteGap(name, gap.Reason)
	}
}
