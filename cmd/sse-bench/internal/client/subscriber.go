package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/stream"
)

// phase is where a subscriber's connection stands.
type phase uint8

const (
	phaseAway   phase = iota // not connected, or connecting
	phaseHead                // request sent, response head not complete
	phaseBody                // 200 and text/event-stream
	phaseClosed              // refused, or all channels have ended: an EventSource never comes back from this
)

// subscriber follows the rules of a browser's EventSource: it honours retry:,
// remembers the last event id, comes back after the end of a stream, and gives up
// for good on any answer but 200 with text/event-stream. All of it is guarded by
// its group's mu.
type subscriber struct {
	g        *group
	channels []integrity.Channel
	sse      stream.Parser
	head     stream.HeadParser
	body     stream.Body
	gunzip   *stream.Gunzip // nil: the body is not compressed
	readyAt  int64          // unix ns at which the current stream was ready, 0 if it is not
	index    int32          // over all processes
	target   int32          // number of the address in use
	retryMs  int32
	phase    phase
	was      bool // it was ready once
	returns  bool // it uses the addresses for the return
}

// request starts an attempt: it resets what belongs to the connection before and
// appends the HTTP request to b.
func (s *subscriber) request(b []byte) []byte {
	s.phase, s.readyAt = phaseHead, 0
	s.head.Reset()
	s.sse.Reset()
	return s.g.appendRequest(b, s)
}

// feed takes bytes that the connection has received at the time now (unix ns). It
// reports whether the stream is over: close the connection and call ended.
func (s *subscriber) feed(p []byte, now int64) (over bool) {
	g := s.g
	g.now = now
	g.tally.Bytes += int64(len(p))
	if s.phase == phaseHead {
		r, used, done, err := s.head.Feed(p)
		if err != nil {
			g.tally.fault("protocol: " + err.Error())
			s.phase = phaseAway
			return true
		}
		if !done {
			return false
		}
		if r.Status != 200 || !r.EventStream {
			s.refuse(r)
			return true
		}
		s.phase = phaseBody
		s.body.Reset(r)
		if s.gunzip = nil; r.Gzip {
			s.gunzip = new(stream.Gunzip)
		}
		if !g.cfg.Native {
			s.ready()
		}
		p = p[used:]
	}
	var err error // io.EOF at the end of the body, or a malformed one
	for len(p) > 0 && err == nil {
		var data []byte
		data, p, err = s.body.Next(p)
		if len(data) > 0 && !s.take(data) {
			return true
		}
	}
	if err == nil && !s.body.Done() {
		return false
	}
	s.finish()
	return true
}

// take takes bytes of the body. It is false if they end the stream, which it counts.
func (s *subscriber) take(data []byte) bool {
	g := s.g
	if s.gunzip != nil {
		var err error
		if data, err = s.gunzip.Feed(data, &g.pieces); err != nil {
			g.tally.fault(err.Error())
			return false
		}
	}
	s.sse.Feed(data, s, &g.buffers)
	return s.phase == phaseBody
}

// finish takes the end of a body by its own framing.
func (s *subscriber) finish() {
	if s.gunzip != nil && s.body.Done() {
		data, err := s.gunzip.End(&s.g.pieces)
		if err != nil {
			s.g.tally.fault(err.Error())
		}
		s.sse.Feed(data, s, &s.g.buffers)
	}
}

func (s *subscriber) refuse(r stream.Head) {
	s.phase = phaseClosed
	if r.Status == http.StatusNoContent && s.was {
		s.g.tally.Ended++ // what it has not got by then is judged like everybody's
		return
	}
	reason := fmt.Sprintf("status %d", r.Status)
	if r.Status == 200 {
		reason = "status 200 without text/event-stream"
	}
	s.close(reason)
}

// close counts why the subscriber is closed for good.
func (s *subscriber) close(reason string) {
	s.phase = phaseClosed
	s.g.tally.Refused++
	s.g.tally.Refusals[reason]++
}

// ready notes that the server has fixed the position of this stream.
func (s *subscriber) ready() {
	switch {
	case s.readyAt != 0:
		return
	case s.g.cfg.Compressed && s.gunzip == nil:
		s.close("a stream without compression")
		return
	}
	t := s.g.tally
	s.readyAt, t.LastReadyAt = s.g.now, s.g.now
	t.Ready++
	if s.was {
		t.Reconnects++
		return
	}
	s.was = true
	t.EverReady++
}

// ended is called once for every attempt, when its connection has ended or could
// not be made. fault is empty for an end without an error. It returns after how
// long to try again, and false when the subscriber is closed for good.
func (s *subscriber) ended(fault string) (wait time.Duration, again bool) {
	head := s.phase == phaseHead
	if !s.away() {
		return 0, false
	}
	if fault == "" && head {
		fault = "closed before the response head was complete"
	}
	if fault != "" {
		s.g.tally.fault(fault)
	}
	return time.Duration(s.retryMs) * time.Millisecond, true
}

// leave is ended for a stream that the tool itself has closed. The next stream
// goes to the addresses for the return.
func (s *subscriber) leave() { s.returns = s.away() || s.returns }

// away ends the current stream; false if there will be no other.
func (s *subscriber) away() bool {
	if s.readyAt != 0 {
		s.g.tally.Ready--
		s.readyAt = 0
	}
	if s.phase == phaseClosed {
		return false
	}
	s.phase = phaseAway
	s.target += s.g.stride(s)
	return true
}

// Retry implements stream.Sink.
func (s *subscriber) Retry(ms int64) { s.retryMs = int32(ms) }

// Comment implements stream.Sink.
func (s *subscriber) Comment() { s.g.tally.Comments++ }

// Event implements stream.Sink.
func (s *subscriber) Event(kind stream.Kind, data []byte) {
	switch kind {
	case stream.KindReady:
		s.ready()
	case stream.KindGap:
		s.gap(data)
	case stream.KindEnd:
		s.g.tally.Ends++
	default:
		s.message(data)
	}
}

func (s *subscriber) message(data []byte) {
	g, t := s.g, s.g.tally
	p, ok := integrity.ParsePayload(data, g.cfg.Run)
	if !ok {
		t.Foreign++
		return
	}
	c := s.channel(p.Channel)
	if c == nil {
		t.Misrouted++
		return
	}
	t.Delivered++
	delay := g.now - p.Due
	t.Worst = max(t.Worst, delay)
	caughtUp := p.Due < s.readyAt
	if caughtUp {
		t.CatchUp.Add(delay)
	} else {
		t.Live.Add(delay)
	}
	if !c.Take(p.Seq) {
		return
	}
	t.LastEventAt = g.now
	if g.overdue {
		c.Late(time.Duration(delay), caughtUp)
	}
}

// channel returns the state of a channel by its index, nil when this subscriber
// did not ask for it.
func (s *subscriber) channel(index int) *integrity.Channel {
	for i := range s.channels {
		if s.g.cfg.ChannelOf(int(s.index), i) == index {
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
	for i := range s.channels {
		name := s.g.cfg.Name(s.g.cfg.ChannelOf(int(s.index), i))
		if len(s.channels) > 1 && name != gap.Channel {
			continue
		}
		s.channels[i].Gap(integrity.Announced{After: gap.After, Resumed: gap.Resumed, Reason: gap.Reason})
		s.g.tally.addGaps(name, map[string]int64{gap.Reason: 1})
	}
}
