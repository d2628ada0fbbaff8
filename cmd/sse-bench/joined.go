package main

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// A subscriber that joins while events are published is owed those after the
// position in its gateway.ready, however late it notices that frame. The
// publisher notes which ids its events got, so the position tells the first
// number that is owed. A server that names no positions, or a way to publish
// that learns no ids, leaves only the time at which the subscriber was ready.

// entryID is the id of an entry in a Redis stream.
type entryID struct{ ms, seq uint64 }

// parseEntryID reads "ms-seq"; ok is false for anything else.
func parseEntryID(s string) (id entryID, ok bool) {
	ms, seq, found := strings.Cut(s, "-")
	if !found {
		return id, false
	}
	var err1, err2 error
	id.ms, err1 = strconv.ParseUint(ms, 10, 64)
	id.seq, err2 = strconv.ParseUint(seq, 10, 64)
	return id, err1 == nil && err2 == nil
}

// String returns "ms-seq".
func (a entryID) String() string { return fmt.Sprintf("%d-%d", a.ms, a.seq) }

func (a entryID) compare(b entryID) int {
	return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(a.seq, b.seq))
}

// noted is an event of a channel and the id that it got.
type noted struct {
	id  entryID
	seq int64
}

// idLog is what the publisher knows of the ids of one channel, in order. An
// event whose id it could not learn is left out.
type idLog []noted

// add notes the id of the next event. Ids only rise in a stream: those that are
// not below it were lost with an older copy of the stream, and would only mislead.
func (l idLog) add(e noted) idLog {
	for len(l) > 0 && l[len(l)-1].id.compare(e.id) >= 0 {
		l = l[:len(l)-1]
	}
	return append(l, e)
}

// place returns how many of the channel's published events are at or before a
// position; events whose ids are unknown may be on either side.
func (l idLog) place(position entryID, published int64) place {
	i := sort.Search(len(l), func(i int) bool { return l[i].id.compare(position) > 0 })
	p := place{High: published}
	if i < len(l) {
		p.High = l[i].seq - 1
	}
	if i > 0 {
		p.Low = l[i-1].seq
	}
	return p
}

// upTo is place if that is certain.
func (l idLog) upTo(position entryID, published int64) (n int64, ok bool) {
	p := l.place(position, published)
	return p.Low, p.Low == p.High
}

// positions are the places at which subscribers joined: by channel, and by id,
// how many events of the channel were published up to there.
type positions map[int]map[string]int64

// add notes a place; what is known of it comes later.
func (p positions) add(channel int, id string) {
	if p[channel] == nil {
		p[channel] = map[string]int64{}
	}
	p[channel][id] = 0
}

// merge adds the places of another group or process.
func (p positions) merge(o positions) {
	for channel, ids := range o {
		for id := range ids {
			p.add(channel, id)
		}
	}
}

// splitPosition returns the ids of a gateway's position by channel, in the
// order of names, nil if it is not a position of that many channels. The
// gateway's order is that of the sorted names, and the last part of the position
// of several channels stands for the names.
func splitPosition(position string, names []string) []string {
	parts := strings.Split(position, "~")
	if n := len(parts); n > 1 {
		parts = parts[:n-1]
	}
	if len(parts) != len(names) {
		return nil
	}
	sorted := slices.Sorted(slices.Values(names))
	ids := make([]string, len(names))
	for i, name := range names {
		at, _ := slices.BinarySearch(sorted, name)
		ids[i] = parts[at]
	}
	return ids
}

// joinedAt returns the ids of the position at which a subscriber joined, by its
// channels, nil if the server named none.
func (s *subscriber) joinedAt() []string {
	if s.position == "" {
		return nil
	}
	names := make([]string, len(s.channels))
	for c := range names {
		names[c] = s.g.cfg.channelName(s.g.cfg.channelOf(s.index, c))
	}
	return splitPosition(s.position, names)
}

// positions returns the places at which the group's subscribers joined.
func (g *group) positions() positions {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := positions{}
	for i := range g.subs {
		s := &g.subs[i]
		for c, id := range s.joinedAt() {
			p.add(g.cfg.channelOf(s.index, c), id)
		}
	}
	return p
}

// expectFrom tells each joining subscriber from where on it is owed events. The
// caller holds mu.
func (g *group) expectFrom(bases positions, at schedule) {
	for i := range g.subs {
		s := &g.subs[i]
		ids := s.joinedAt()
		for c := range s.channels {
			state, ch := &s.channels[c], g.cfg.channelOf(s.index, c)
			if ids != nil {
				if state.base, state.exact = bases[ch][ids[c]]; state.exact {
					continue
				}
			}
			state.base = min(at.sentBy(ch, s.firstAt), g.published[ch])
		}
	}
}

// resolve fills in how many events were published up to each place. A place of
// which the publisher cannot tell is taken out.
func (p *publisher) resolve(places positions) {
	for channel, ids := range places {
		for text := range ids {
			id, ok := parseEntryID(text)
			var n int64
			if ok {
				n, ok = p.ids[channel].upTo(id, p.sent[channel].Load())
			}
			if !ok {
				delete(ids, text)
				continue
			}
			ids[text] = n
		}
	}
}
