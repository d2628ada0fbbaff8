package load

import (
	"golang.org/x/sync/errgroup"

	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/client"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/integrity"
	"github.com/sse-gateway/sse-gateway/cmd/sse-bench/internal/report"
)

// worker is a share of the subscribers. Calls are made one at a time.
type worker interface {
	Call(client.Request) (client.Response, error)
}

// fleet is all workers of a run, seen as one. Its methods are not safe for
// concurrent use.
type fleet struct {
	workers []worker
}

// newFleet makes the workers and their subscribers: one in this process, or
// processes of their own.
func newFleet(cfg client.Config, processes int) (*fleet, error) {
	f := &fleet{}
	if processes == 1 {
		f.workers = []worker{&client.Worker{}}
	}
	for len(f.workers) < processes {
		w, err := startProcess()
		if err != nil {
			f.close()
			return nil, err
		}
		f.workers = append(f.workers, w)
	}
	_, err := f.each(func(i int) client.Request {
		c := cfg
		from, to := share(cfg.Count, processes, i)
		c.First, c.Count = from, to-from
		c.Inflight = max(cfg.Inflight/processes, 1)
		return client.Request{Op: client.OpStart, Config: &c}
	})
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// share returns the range of n things that part i of parts gets.
func share(n, parts, i int) (from, to int) {
	return n * i / parts, n * (i + 1) / parts
}

// each sends a request to every worker at once and adds up the answers.
func (f *fleet) each(req func(i int) client.Request) (sum client.Response, err error) {
	answers := make([]client.Response, len(f.workers))
	var eg errgroup.Group
	for i, w := range f.workers {
		eg.Go(func() (err error) {
			answers[i], err = w.Call(req(i))
			return err
		})
	}
	err = eg.Wait()
	sum = client.Response{Tally: client.NewTally(), Verdict: &integrity.Verdict{}, Gapped: integrity.GapIDs{}}
	for _, a := range answers {
		sum.Gapped.Merge(a.Gapped)
		if a.Tally != nil {
			sum.Tally.Merge(a.Tally)
		}
		if a.Verdict != nil {
			sum.Verdict.Merge(a.Verdict)
		}
	}
	return sum, err
}

// all sends the same request to every worker.
func (f *fleet) all(req client.Request) (client.Response, error) {
	return f.each(func(int) client.Request { return req })
}

// do is all without an answer.
func (f *fleet) do(op string) error {
	_, err := f.all(client.Request{Op: op})
	return err
}

// leave ends n streams, the same share of each worker's.
func (f *fleet) leave(n int) error {
	_, err := f.each(func(i int) client.Request {
		from, to := share(n, len(f.workers), i)
		return client.Request{Op: client.OpLeave, Count: to - from}
	})
	return err
}

// status returns the counts of all workers.
func (f *fleet) status() (*client.Tally, error) {
	r, err := f.all(client.Request{Op: client.OpStatus})
	return r.Tally, err
}

// cpu returns the processor seconds of this process and, as of the last status,
// of the worker processes.
func (f *fleet) cpu() float64 {
	total := report.OwnCPU()
	for _, w := range f.workers {
		if p, ok := w.(*process); ok {
			total += p.cpu
		}
	}
	return total
}

// close ends all streams and worker processes. It may be called again.
func (f *fleet) close() {
	_ = f.do(client.OpClose)
	for _, w := range f.workers {
		if p, ok := w.(*process); ok {
			p.end()
		}
	}
	f.workers = nil
}
