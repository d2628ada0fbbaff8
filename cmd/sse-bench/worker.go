package main

import "fmt"

// Operations of a worker.
const (
	opStart     = "start"     // with Config: prepare the subscribers
	opOpen      = "open"      // connect those that are away
	opStatus    = "status"    // count
	opMeasure   = "measure"   // start the latency histograms anew
	opLeave     = "leave"     // end every stream
	opPositions = "positions" // where joining subscribers came
	opExpect    = "expect"    // with Published, Bases and Schedule: what should have arrived
	opOverdue   = "overdue"   // what arrives from now on is late
	opGapped    = "gapped"    // where events are missing that a gap may excuse
	opVerdict   = "verdict"   // with Retained: judge
	opClose     = "close"     // end for good
)

// request is one line to a worker process.
type request struct {
	Op        string            `json:"op"`
	Config    *workerConfig     `json:"config,omitempty"`
	Published []int64           `json:"published,omitempty"`
	Bases     positions         `json:"bases,omitempty"` // those that are known
	Schedule  schedule          `json:"schedule"`
	Retained  map[int]*retained `json:"retained"` // by channel, of those with gaps; nil: not asked
}

// response is one line from a worker process; it answers one request.
type response struct {
	Error     string    `json:"error,omitempty"`
	Status    *tally    `json:"status,omitempty"`
	Positions positions `json:"positions,omitempty"`
	Gapped    gapIDs    `json:"gapped,omitempty"`
	Verdict   *verdict  `json:"verdict,omitempty"`
	CPU       float64   `json:"cpu,omitempty"` // of the process so far, seconds
}

// worker runs a share of the subscribers. Calls are made one at a time.
type worker interface {
	call(request) (response, error)
}

// crew is a worker in this process: groups of subscribers and their engines.
type crew struct {
	cfg     *workerConfig
	groups  []*group
	engines []engine
}

// call implements worker. The error is part of the response only for a worker
// process; here both are the same.
func (c *crew) call(req request) (response, error) {
	r, err := c.handle(req)
	if err != nil {
		r.Error = err.Error()
	}
	return r, err
}

func (c *crew) handle(req request) (r response, err error) {
	switch req.Op {
	case opStart:
		return r, c.start(req.Config)
	case opOpen:
		for _, e := range c.engines {
			e.open(c.cfg.offset)
		}
	case opLeave:
		for _, e := range c.engines {
			e.leave()
		}
	case opMeasure:
		for _, g := range c.groups {
			g.clearLatency()
		}
	case opExpect:
		for _, g := range c.groups {
			g.expect(req.Published, req.Bases, req.Schedule)
		}
	case opPositions:
		r.Positions = positions{}
		for _, g := range c.groups {
			r.Positions.merge(g.positions())
		}
	case opOverdue:
		for _, g := range c.groups {
			g.setOverdue(true)
		}
	case opStatus:
		t := newTally()
		for _, g := range c.groups {
			s := g.status()
			t.merge(&s)
		}
		r.Status, r.CPU = &t, ownCPU()
	case opGapped:
		r.Gapped = gapIDs{}
		for _, g := range c.groups {
			r.Gapped.merge(g.gapped())
		}
	case opVerdict:
		v := newVerdict()
		for _, g := range c.groups {
			v.merge(g.verdict(req.Retained))
		}
		r.Verdict, r.CPU = v, ownCPU()
	case opClose:
		for _, e := range c.engines {
			e.close()
		}
		c.engines = nil
	default:
		return r, fmt.Errorf("unknown operation %q", req.Op)
	}
	return r, nil
}

// start makes a group and an engine per loop, the subscribers dealt out evenly.
func (c *crew) start(cfg *workerConfig) error {
	targets, returns, err := cfg.resolveTargets()
	if err != nil {
		return err
	}
	c.cfg = cfg
	loops := min(cfg.Loops, max(cfg.Count, 1))
	for i := range loops {
		from, to := share(cfg.Count, loops, i)
		g := newGroup(cfg, targets, returns, cfg.First+from, to-from)
		e, err := newEngine(g, cfg.Inflight/loops)
		if err != nil {
			return err
		}
		c.groups = append(c.groups, g)
		c.engines = append(c.engines, e)
	}
	return nil
}

// share returns the range of n things that part i of parts gets.
func share(n, parts, i int) (from, to int) {
	return n * i / parts, n * (i + 1) / parts
}
