package client

import (
	"fmt"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"
)

// Operations of a worker.
const (
	OpStart   = "start"   // with Config: prepare the subscribers
	OpOpen    = "open"    // connect those that are away
	OpStatus  = "status"  // count
	OpMeasure = "measure" // start the latency histograms anew
	OpLeave   = "leave"   // with Count: end the streams of the first so many
	OpExpect  = "expect"  // with Published: what should have arrived
	OpOverdue = "overdue" // what arrives from now on is late
	OpGapped  = "gapped"  // where events are missing that a gap may excuse
	OpVerdict = "verdict" // with Retained: judge
	OpClose   = "close"   // end for good
)

// Request is one line to a worker process.
type Request struct {
	Op        string                      `json:"op"`
	Config    *Config                     `json:"config,omitempty"`
	Count     int                         `json:"count,omitempty"`
	Published []int64                     `json:"published,omitempty"`
	Retained  map[int]*integrity.Retained `json:"retained"` // by channel, of those with gaps; nil: not asked
}

// Response is one line from a worker process; it answers one request.
type Response struct {
	Error   string             `json:"error,omitempty"`
	Tally   *Tally             `json:"tally,omitempty"` // of OpStatus and, with the histograms, of OpVerdict
	Gapped  integrity.GapIDs   `json:"gapped,omitempty"`
	Verdict *integrity.Verdict `json:"verdict,omitempty"`
	CPU     float64            `json:"cpu,omitempty"` // of the process so far, seconds
}

// Worker is the subscribers of one process. Calls are made one at a time.
type Worker struct {
	group  *group
	engine engine
}

// Call carries out a request. The error is that of the response.
func (w *Worker) Call(req Request) (Response, error) {
	r, err := w.handle(req)
	if err != nil {
		r.Error = err.Error()
	}
	return r, err
}

func (w *Worker) handle(req Request) (r Response, err error) {
	switch req.Op {
	case OpStart:
		return r, w.start(req.Config)
	case OpOpen:
		w.engine.open()
		return r, nil
	case OpLeave:
		w.engine.leave(min(req.Count, len(w.group.subs)))
		return r, nil
	case OpClose:
		if w.engine != nil {
			w.engine.close()
		}
		w.engine = nil
		return r, nil
	}
	g := w.group
	g.mu.Lock()
	defer g.mu.Unlock()
	switch req.Op {
	case OpMeasure:
		g.clearLatency()
	case OpExpect:
		g.published, g.overdue = req.Published, false
	case OpOverdue:
		g.overdue = true
	case OpStatus:
		r.Tally, r.CPU = g.status(), report.OwnCPU()
	case OpGapped:
		r.Gapped = g.gapped()
	case OpVerdict:
		r.Tally, r.Verdict, r.CPU = NewTally(), g.verdict(req.Retained), report.OwnCPU()
		r.Tally.Merge(g.tally)
	default:
		return r, fmt.Errorf("unknown operation %q", req.Op)
	}
	return r, nil
}

func (w *Worker) start(cfg *Config) error {
	targets, returns, err := cfg.resolve()
	if err != nil {
		return err
	}
	w.group = newGroup(cfg, targets, returns)
	w.engine, err = newEngine(w.group)
	return err
}
