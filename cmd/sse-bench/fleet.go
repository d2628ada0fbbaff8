package main

import "golang.org/x/sync/errgroup"

// fleet is all workers of a run, seen as one. Its methods are not safe for
// concurrent use.
type fleet struct {
	workers []worker
}

// newFleet makes the workers and their subscribers: one in this process, or
// processes of their own.
func newFleet(cfg workerConfig, processes int) (*fleet, error) {
	f := &fleet{}
	if processes == 1 {
		f.workers = []worker{&crew{}}
	}
	for len(f.workers) < processes {
		w, err := startProcess()
		if err != nil {
			f.close()
			return nil, err
		}
		f.workers = append(f.workers, w)
	}
	_, err := f.each(func(i int) request {
		c := cfg
		from, to := share(cfg.Total, processes, i)
		c.First, c.Count = from, to-from
		c.Inflight = max(cfg.Inflight/processes, 1)
		return request{Op: opStart, Config: &c}
	})
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// each sends a request to every worker at once and collects the answers.
func (f *fleet) each(req func(i int) request) ([]response, error) {
	out := make([]response, len(f.workers))
	var eg errgroup.Group
	for i, w := range f.workers {
		eg.Go(func() (err error) {
			out[i], err = w.call(req(i))
			return err
		})
	}
	return out, eg.Wait()
}

// do sends the same request to every worker.
func (f *fleet) do(req request) error {
	_, err := f.each(func(int) request { return req })
	return err
}

// status returns the counts of all workers.
func (f *fleet) status() (tally, error) {
	t := newTally()
	rs, err := f.each(func(int) request { return request{Op: opStatus} })
	if err != nil {
		return t, err
	}
	for _, r := range rs {
		t.merge(r.Status)
	}
	return t, nil
}

// positions returns the places at which joining subscribers came.
func (f *fleet) positions() (positions, error) {
	p := positions{}
	rs, err := f.each(func(int) request { return request{Op: opPositions} })
	if err != nil {
		return p, err
	}
	for _, r := range rs {
		p.merge(r.Positions)
	}
	return p, nil
}

// cpu returns the processor seconds of this process and, as of the last status,
// of the worker processes.
func (f *fleet) cpu() float64 {
	total := ownCPU()
	for _, w := range f.workers {
		if p, ok := w.(*process); ok {
			total += p.cpu
		}
	}
	return total
}

// gapped returns where subscribers miss events that a gap may excuse.
func (f *fleet) gapped() (gapIDs, error) {
	g := gapIDs{}
	rs, err := f.each(func(int) request { return request{Op: opGapped} })
	if err != nil {
		return g, err
	}
	for _, r := range rs {
		g.merge(r.Gapped)
	}
	return g, nil
}

// verdict judges, by what Redis has of the channels with gaps.
func (f *fleet) verdict(has map[int]*retained) (*verdict, error) {
	v := newVerdict()
	rs, err := f.each(func(int) request { return request{Op: opVerdict, Retained: has} })
	if err != nil {
		return v, err
	}
	for _, r := range rs {
		v.merge(r.Verdict)
	}
	return v, nil
}

// close ends all streams and worker processes. It may be called again.
func (f *fleet) close() {
	_ = f.do(request{Op: opClose})
	for _, w := range f.workers {
		if p, ok := w.(*process); ok {
			p.end()
		}
	}
	f.workers = nil
}
