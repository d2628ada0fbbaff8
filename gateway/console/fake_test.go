package console

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fakeGateway answers /events as the contract says, from memory: what the page
// needs of a gateway, small enough to be seen through.
type fakeGateway struct {
	mu      sync.Mutex
	streams map[string][]fakeEntry
	trimmed map[string]int64 // the newest removed sequence of a channel
	seq     int64
	changed chan struct{} // closed and replaced at each change
	cut     chan struct{} // closed and replaced to end all streams
	headers []http.Header // of each subscription, in order
}

type fakeEntry struct {
	seq, ms     int64
	event, data string
}

func (e fakeEntry) id() string { return fmt.Sprintf("%d-%d", e.ms, e.seq) }

func newFakeGateway() *fakeGateway {
	return &fakeGateway{
		streams: map[string][]fakeEntry{}, trimmed: map[string]int64{},
		changed: make(chan struct{}), cut: make(chan struct{}),
	}
}

func (g *fakeGateway) add(channel, event, data string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seq++
	e := fakeEntry{g.seq, time.Now().UnixMilli(), event, data}
	g.streams[channel] = append(g.streams[channel], e)
	close(g.changed)
	g.changed = make(chan struct{})
	return e.id()
}

// trim removes all but the newest keep entries.
func (g *fakeGateway) trim(channel string, keep int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.streams[channel]
	if len(all) > keep {
		g.trimmed[channel] = all[len(all)-keep-1].seq
		g.streams[channel] = slices.Clone(all[len(all)-keep:])
	}
}

// endStreams ends every connection, as a replica that goes away does.
func (g *fakeGateway) endStreams() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.cut)
	g.cut = make(chan struct{})
}

func (g *fakeGateway) subscriptions() []http.Header {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.headers)
}

func (g *fakeGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	names := slices.Compact(slices.Sorted(slices.Values(q["channel"])))
	if slices.Contains(names, "forbidden") {
		writeProblem(w, http.StatusForbidden, "the token does not allow <b>forbidden</b>")
		return
	}
	g.mu.Lock()
	g.headers = append(g.headers, r.Header.Clone())
	cut := g.cut
	s := &fakeStream{w: w, names: names, envelope: q.Get("envelope") == "json", at: map[string]fakeEntry{}}
	g.place(s, r)
	g.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	fmt.Fprintf(w, "retry: 50\n")
	s.frame("gateway.ready", fmt.Sprintf(`{"channels":{%q:%q}}`, names[0], s.at[names[0]].id()))
	for {
		g.mu.Lock()
		changed := g.changed
		for _, name := range names {
			g.deliver(s, name)
		}
		g.mu.Unlock()
		_ = http.NewResponseController(w).Flush()
		select {
		case <-changed:
		case <-cut:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// place sets where the stream starts. The caller holds mu.
func (g *fakeGateway) place(s *fakeStream, r *http.Request) {
	from := r.Header.Get("Last-Event-ID")
	if from == "" {
		from = r.URL.Query().Get("last_event_id")
	}
	ids := strings.Split(from, "~")
	replay, _ := strconv.Atoi(r.URL.Query().Get("replay"))
	for i, name := range s.names {
		all := g.streams[name]
		switch {
		case from != "":
			ms, seq, _ := strings.Cut(ids[i], "-")
			s.at[name] = fakeEntry{ms: atoi(ms), seq: atoi(seq)}
			if s.at[name].ms <= 1 { // an ancient id, whatever its sequence
				s.at[name] = fakeEntry{ms: atoi(ms)}
			}
		case replay > 0 && len(all) > replay:
			s.at[name] = all[len(all)-replay-1]
		case replay == 0 && len(all) > 0:
			s.at[name] = all[len(all)-1]
		}
	}
}

// deliver writes what the channel has after the stream's position, a gap first
// if some of it was trimmed. The caller holds mu.
func (g *fakeGateway) deliver(s *fakeStream, name string) {
	if at := s.at[name]; at.seq < g.trimmed[name] {
		resumed := fakeEntry{seq: g.trimmed[name], ms: max(at.ms, 2)}
		s.at[name] = resumed
		s.frame("gateway.gap", fmt.Sprintf(`{"channel":%q,"after":%q,"resumed":%q,"reason":"trimmed"}`, name, at.id(), resumed.id()))
	}
	for _, e := range g.streams[name] {
		if e.seq <= s.at[name].seq {
			continue
		}
		s.at[name] = e
		data := e.data
		if s.envelope {
			wrapped, _ := json.Marshal(map[string]string{"channel": name, "id": e.id(), "event": e.event, "data": e.data})
			data = string(wrapped)
		}
		s.frame(e.event, data)
	}
}

type fakeStream struct {
	w        http.ResponseWriter
	names    []string
	envelope bool
	at       map[string]fakeEntry
}

func (s *fakeStream) position() string {
	ids := make([]string, 0, len(s.names)+1)
	for _, name := range s.names {
		ids = append(ids, s.at[name].id())
	}
	if len(s.names) > 1 {
		sum := sha256.Sum256([]byte(strings.Join(s.names, ",")))
		ids = append(ids, hex.EncodeToString(sum[:3]))
	}
	return strings.Join(ids, "~")
}

func (s *fakeStream) frame(event, data string) {
	fmt.Fprintf(s.w, "id: %s\n", s.position())
	if event != "" {
		fmt.Fprintf(s.w, "event: %s\n", event)
	}
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data), "\n") {
		fmt.Fprintf(s.w, "data: %s\n", line)
	}
	fmt.Fprint(s.w, "\n")
}

func atoi(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
