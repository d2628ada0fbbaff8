package main

import (
	"maps"
	"sync"
)

// group is the subscribers of one engine. Its mu guards all of it but the
// fields fixed at construction; an engine holds it while it handles what one
// wake-up brought, so that counting needs no atomics.
type group struct {
	cfg     *workerConfig
	targets []target
	returns []target // for streams after leave

	mu          sync.Mutex
	subs        []subscriber
	tally       tally
	gapChannels map[string]map[string]int64 // channel, reason
	published   []int64                     // per channel, nil until known
	overdue     bool                        // the time for the events published so far is over
	now         int64                       // unix ns, of the bytes being parsed
}

// newGroup prepares count subscribers, the first one being number first.
func newGroup(cfg *workerConfig, targets, returns []target, first, count int) *group {
	g := &group{
		cfg: cfg, targets: targets, returns: returns,
		subs: make([]subscriber, count), tally: newTally(),
		gapChannels: map[string]map[string]int64{},
	}
	states := make([]channelState, count*cfg.ChannelsEach)
	for i := range g.subs {
		s := &g.subs[i]
		s.g, s.index = g, first+i
		s.channels = states[i*cfg.ChannelsEach : (i+1)*cfg.ChannelsEach]
		s.retryMs = cfg.Retry.Milliseconds()
		// Both terms, so that the subscribers of every channel are spread over
		// the addresses however many channels there are.
		s.target = s.index/cfg.Channels + s.index%cfg.Channels
	}
	return g
}

// target returns the address that a subscriber's next attempt goes to.
func (g *group) target(s *subscriber) (list []target, index int) {
	list = g.targets
	if s.resumed {
		list = g.returns
	}
	return list, s.target % len(list)
}

func (g *group) appendRequest(b []byte, s *subscriber) []byte {
	list, i := g.target(s)
	t := &list[i]
	b = append(b, "GET "...)
	b = append(b, t.before...)
	for c := range s.channels {
		name := g.cfg.channelName(g.cfg.channelOf(s.index, c))
		b = t.appendChannel(b, c, name)
	}
	b = append(b, t.after...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, t.host...)
	b = append(b, "\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n"...)
	for _, h := range g.cfg.Headers {
		b = append(append(b, h...), "\r\n"...)
	}
	if len(s.sse.lastID) > 0 {
		b = append(append(b, "Last-Event-ID: "...), s.sse.lastID...)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}

func (g *group) noteGap(channel, reason string) {
	byReason := g.gapChannels[channel]
	if byReason == nil {
		byReason = map[string]int64{}
		g.gapChannels[channel] = byReason
	}
	byReason[reason]++
}

// expect tells how many events each channel has, and, for joining subscribers,
// how many were before the places at which they came, and when they were sent;
// it may be called again with higher numbers.
func (g *group) expect(published []int64, bases positions, at schedule) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.published, g.overdue = published, false
	if g.cfg.joining() {
		g.expectFrom(bases, at)
	}
}

// status returns a copy of the counts, without the histograms, and starts a new
// interval of Worst.
func (g *group) status() tally {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.tally
	t.All, t.CatchUp = histogram{}, histogram{}
	t.Refusals, t.Faults, t.GapEvents = maps.Clone(t.Refusals), maps.Clone(t.Faults), maps.Clone(t.GapEvents)
	g.tally.Worst = 0
	if g.published == nil {
		return t
	}
	for i := range g.subs {
		s := &g.subs[i]
		if s.phase == phaseClosed {
			continue // nothing to wait for
		}
		for c := range s.channels {
			if s.channels[c].behind(g.published[g.cfg.channelOf(s.index, c)]) {
				t.Behind++
			}
		}
	}
	return t
}

// setOverdue tells that what has not arrived by now is late when it does.
func (g *group) setOverdue(is bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.overdue = is
}

// clearLatency starts the histograms anew, at the start of a measured phase.
func (g *group) clearLatency() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.overdue = false
	g.tally.All, g.tally.CatchUp, g.tally.Worst = histogram{}, histogram{}, 0
}

// leaveAll notes that the tool itself has closed every stream.
func (g *group) leaveAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.subs {
		g.subs[i].leave()
	}
}
