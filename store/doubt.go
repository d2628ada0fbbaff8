package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// doubts are the windows of a session with a replica whose stream seems to have
// lost what the window has: by a reset or retention, or because the replica
// does not have it yet. Which it is, is known when the stream still looks so on
// a replica that has all that the master had after the doubt arose. Until then
// nothing is said, and if the master cannot be asked that is for long.
type doubts struct {
	kick chan struct{} // capacity 1: there is a new one

	// mu guards the maps. A window is in one of them at most.
	mu     sync.Mutex
	raised map[*window]time.Time // since when, until the replica has proved itself
	proven map[*window]bool      // the next look counts
}

func newDoubts() *doubts {
	return &doubts{kick: make(chan struct{}, 1), raised: make(map[*window]time.Time), proven: make(map[*window]bool)}
}

// certain reports whether what the session found out about the window's stream
// is so, and not for want of replication. If not, the window is read again when
// that is known.
func (s *session) certain(w *window) bool {
	d := s.doubts
	if d == nil {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.proven[w] {
		delete(d.proven, w)
		return true
	}
	if _, ok := d.raised[w]; !ok {
		d.raised[w] = time.Now()
	}
	select {
	case d.kick <- struct{}{}:
	default:
	}
	return false
}

// settle forgets the doubt about a window whose stream goes on as expected.
func (s *session) settle(w *window) {
	if d := s.doubts; d != nil {
		d.mu.Lock()
		delete(d.raised, w)
		delete(d.proven, w)
		d.mu.Unlock()
	}
}

// resolve has the windows read again whose doubts are older than the proof.
// Those that the master does not answer for stay.
func (s *session) resolve(asked time.Time, answersFor func(*window) bool) {
	d := s.doubts
	var again []*window
	elsewhere := false
	d.mu.Lock()
	// Those that have moved or were closed are not looked at any more.
	maps.DeleteFunc(d.proven, func(w *window, _ bool) bool { return w.node.Load() != s.n })
	for w, since := range d.raised {
		switch {
		case w.node.Load() != s.n:
			delete(d.raised, w)
		case !since.Before(asked):
		case answersFor != nil && !answersFor(w):
			elsewhere = true
		default:
			delete(d.raised, w)
			d.proven[w] = true
			again = append(again, w)
		}
	}
	d.mu.Unlock()
	for _, w := range again {
		s.n.enqueue(w, readChecked)
	}
	if elsewhere {
		s.n.store.topo.suspectChange()
	}
}

// watch ends a session with a replica that is unfit for long, or with the
// master when a replica is fit, and resolves doubts.
func (s *session) watch(ctx context.Context) {
	var err error
	if s.doubts != nil {
		err = s.watchReplica(ctx)
	} else {
		err = s.awaitReplica(ctx)
	}
	if err != nil {
		s.end(err)
	}
}

// awaitReplica returns errMoving when there is a replica to read from.
func (s *session) awaitReplica(ctx context.Context) error {
	rs := s.n.replicas
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(spread(returnWait)):
		}
		master, replicas, err := rs.members(ctx)
		if err != nil {
			continue
		}
		if addr, proven, _ := rs.fittest(ctx, master, replicas); proven {
			return fmt.Errorf("%w: the replica %s has what the master has", errMoving, addr)
		}
	}
}

// watchReplica proves again and again that the replica has what the master
// has, and returns errMoving when it did not for lagPatience, though the master
// could be asked.
func (s *session) watchReplica(ctx context.Context) error {
	replica := s.n.replicas.dial(s.addr)
	defer replica.Close()
	p := &prover{s: s, replica: replica}
	defer p.close()
	for {
		err := p.prove(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errMoving):
			return err
		case err != nil:
			s.n.log.Debug("the replica could not be compared with its master", "addr", s.addr, "error", err)
		}
		kick := s.doubts.kick
		if err != nil {
			kick = nil // the master is away, and does not come back for being asked
		}
		select {
		case <-ctx.Done():
			return nil
		case <-kick:
		case <-time.After(jitter(probeInterval)):
		}
	}
}

// prover compares a replica with its master. It belongs to one goroutine.
type prover struct {
	s          *session
	replica    *redis.Client
	master     *redis.Client // nil at first
	masterAddr string
}

func (p *prover) close() {
	if p.master != nil {
		_ = p.master.Close()
	}
}

// prove waits until the replica has what the master has now. The error is
// errMoving if it is not to be read from any longer, another one if the master
// could not be asked.
func (p *prover) prove(ctx context.Context) error {
	rs, asked := p.s.n.replicas, time.Now()
	addr, _, err := rs.members(ctx)
	if err != nil && p.master == nil {
		return err
	}
	// If nobody names the master, the last one will do: it says itself whether
	// it is one, and of which history.
	if err == nil && addr != p.masterAddr {
		p.close()
		p.master, p.masterAddr = rs.dial(addr), addr
	}
	want, answersFor, err := rs.consult(ctx, p.master)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, lagPatience)
	defer cancel()
	err = awaitProof(limited, p.replica, want)
	if errors.Is(err, errNotReplica) || err != nil && rs.lag(time.Now()) > lagPatience {
		return fmt.Errorf("%w: the replica %s: %w", errMoving, p.s.addr, err)
	}
	if err != nil {
		return err // of one answer that took long; a server that is gone ends the session by itself
	}
	rs.provenAt.Store(asked)
	p.s.resolve(asked, answersFor)
	return nil
}

// spread returns between a half and one and a half times d, for what gateways
// should do far from each other.
func spread(d time.Duration) time.Duration { return d/2 + rand.N(d) }
