package client

import (
	"fmt"
	"maps"
	"sync"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/stream"
)

// group is the subscribers of one engine. Its mu guards all of it but the fields
// fixed at construction; an engine holds it while it handles what one wake-up
// brought, so that counting needs no atomics.
type group struct {
	cfg     *Config
	targets []target
	returns []target // for streams after leave

	mu        sync.Mutex
	subs      []subscriber
	buffers   stream.Buffers
	pieces    stream.Pieces
	tally     *Tally
	published []int64 // per channel, nil until known
	overdue   bool    // the time for the events published so far is over
	now       int64   // unix ns, of the bytes being parsed
}

func newGroup(cfg *Config, targets, returns []target) *group {
	g := &group{cfg: cfg, targets: targets, returns: returns, subs: make([]subscriber, cfg.Count), tally: NewTally()}
	states := make([]integrity.Channel, cfg.Count*cfg.ChannelsEach)
	for i := range g.subs {
		s := &g.subs[i]
		index := cfg.First + i
		s.g, s.index = g, int32(index)
		s.channels = states[i*cfg.ChannelsEach : (i+1)*cfg.ChannelsEach]
		s.retryMs = int32(cfg.Retry.Milliseconds())
		// Both terms, so that the subscribers of every channel are spread over
		// the addresses however many channels there are.
		s.target = int32(index/cfg.Channels + index%cfg.Channels)
	}
	return g
}

// addresses returns the list that a subscriber uses.
func (g *group) addresses(s *subscriber) []target {
	if s.returns {
		return g.returns
	}
	return g.targets
}

// address returns the address that a subscriber's next attempt goes to.
func (g *group) address(s *subscriber) *target {
	list := g.addresses(s)
	return &list[int(s.target)%len(list)]
}

// stride is how far a subscriber goes on in its list of addresses after each
// stream. It never stays, and the subscribers of one address spread over all
// others, as a load balancer would send them.
func (g *group) stride(s *subscriber) int32 {
	n := int32(len(g.addresses(s)))
	if n < 3 {
		return 1
	}
	return 1 + s.index/n%(n-1)
}

func (g *group) appendRequest(b []byte, s *subscriber) []byte {
	t := g.address(s)
	b = append(b, "GET "...)
	b = append(b, t.before...)
	for c := range s.channels {
		b = t.appendChannel(b, c, g.cfg.Name(g.cfg.ChannelOf(int(s.index), c)))
	}
	b = append(b, t.after...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, t.host...)
	b = append(b, "\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n"...)
	if g.cfg.Compressed {
		b = append(b, "Accept-Encoding: gzip\r\n"...)
	}
	for _, h := range g.cfg.Headers {
		b = append(append(b, h...), "\r\n"...)
	}
	if last := s.sse.LastID(); len(last) > 0 {
		b = append(append(b, "Last-Event-ID: "...), last...)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// status returns a copy of the counts, without the histograms, and starts a new
// interval of Worst.
func (g *group) status() *Tally {
	t := *g.tally
	t.Live, t.CatchUp, t.GapChannels = report.Histogram{}, report.Histogram{}, nil
	t.Refusals, t.Faults = maps.Clone(t.Refusals), maps.Clone(t.Faults)
	g.tally.Worst = 0
	if g.published == nil {
		return &t
	}
	for i := range g.subs {
		s := &g.subs[i]
		if s.phase == phaseClosed {
			continue // nothing to wait for
		}
		for c := range s.channels {
			if s.channels[c].Behind(g.published[g.cfg.ChannelOf(int(s.index), c)]) {
				t.Behind++
			}
		}
	}
	return &t
}

// clearLatency starts the histograms anew, at the start of a measured phase.
func (g *group) clearLatency() {
	g.overdue = false
	g.tally.Live, g.tally.CatchUp, g.tally.Worst = report.Histogram{}, report.Histogram{}, 0
}

// owed calls judge for every channel of every subscriber that ever had a stream;
// the others count as refused or as not connected.
func (g *group) owed(judge func(s *subscriber, c *integrity.Channel, channel int)) {
	if g.published == nil {
		return
	}
	for i := range g.subs {
		s := &g.subs[i]
		if !s.was {
			continue
		}
		for c := range s.channels {
			judge(s, &s.channels[c], g.cfg.ChannelOf(int(s.index), c))
		}
	}
}

// gapped returns where subscribers miss events that a gap may excuse.
func (g *group) gapped() integrity.GapIDs {
	found := integrity.GapIDs{}
	g.owed(func(_ *subscriber, c *integrity.Channel, channel int) {
		c.GapIDs(channel, g.published[channel], found)
	})
	return found
}

// verdict sums up what every subscriber got and missed. has is what Redis has of
// the channels with gaps, nil if it was not asked.
func (g *group) verdict(has map[int]*integrity.Retained) *integrity.Verdict {
	v := &integrity.Verdict{}
	g.owed(func(s *subscriber, c *integrity.Channel, channel int) {
		kept := has[channel]
		if kept == nil && has != nil {
			kept = integrity.AllRetained
		}
		v.Judge(c, g.published[channel], kept, func() string {
			return fmt.Sprintf("subscriber %d, channel %s", s.index, g.cfg.Name(channel))
		})
	})
	return v
}
