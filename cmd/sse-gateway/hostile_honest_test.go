package main

import (
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// How much an attack may slow honest clients down is counted in events of a gateway
// that nobody attacks, on the same machine at the same time: the machine may be as slow,
// and as busy, as it likes.
const (
	// maxSlowdown is how many times fewer events the subscriber of an attacked gateway
	// may get than that of a gateway left alone.
	maxSlowdown = 5
	// maxFreeze is how many events that one may get while this one waits for one. They
	// come 20 a second at most.
	maxFreeze = 200
	// resumeEvery is after how many events a client comes back.
	resumeEvery = 10
)

// honest is a subscriber that wants nothing but what it has subscribed to, with a
// publisher of its own. It finds out whether somebody is in its way.
type honest struct {
	t       *testing.T
	p       *gatewayProcess
	r       *redistest.Server
	resumes bool    // other clients come back meanwhile
	alone   *honest // the subscriber of a gateway left alone, which does the same; nil in that one
	http    *http.Transport

	stop chan struct{}
	done chan struct{}

	received atomic.Int64
	resumed  atomic.Int64 // clients that came back and got what they had missed
	failed   atomic.Pointer[string]
}

// startHonest begins to publish, 20 events a second at most, and to check that each
// arrives, once and in order, before the next is published. With resumes another client
// comes back every few events, at the position before them. A second gateway, with a
// Redis of its own, has the same to do and is not attacked.
func startHonest(t *testing.T, r *redistest.Server, p *gatewayProcess, resumes bool) *honest {
	t.Helper()
	other := redistest.Start(t)
	alone := startPlain(t, 0, gatewayEnv(other.URL())...)
	alone.awaitReady()
	h := &honest{t: t, p: p, r: r, resumes: resumes, alone: &honest{t: t, p: alone, r: other, resumes: resumes}}
	h.alone.start()
	h.start()
	return h
}

func (h *honest) start() {
	h.t.Helper()
	h.http, h.stop, h.done = transport(h.t, 1, nil), make(chan struct{}), make(chan struct{})
	live := subscribe(h.t, h.http, h.p.eventsURL("channel=honest")).ready(h.t)
	go h.run(live, live.position())
	h.t.Cleanup(h.end)
}

func (h *honest) end() {
	select {
	case <-h.stop:
	default:
		close(h.stop)
	}
	<-h.done
}

func (h *honest) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	h.failed.CompareAndSwap(nil, &text)
}

func (h *honest) run(live *client, from string) {
	defer close(h.done)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n := 0; h.failed.Load() == nil; n++ {
		select {
		case <-h.stop:
			return
		case <-tick.C:
		}
		data := strconv.Itoa(n)
		if err := h.r.Client().Do(h.t.Context(), "XADD", "sse:honest", "*", "data", data).Err(); err != nil {
			h.fail("XADD: %v", err)
			return
		}
		e, ok := h.next(live)
		if !ok || e.data != data {
			h.fail("event %d did not arrive: got %+v, %v", n, e, ok)
			return
		}
		h.received.Add(1)
		if h.resumes && n%resumeEvery == resumeEvery-1 {
			h.resume(from, n+1-resumeEvery, n)
			from = e.id
		}
	}
}

// resume comes back at a position and expects the events from one number to another.
func (h *honest) resume(position string, from, to int) {
	back, err := trySubscribe(h.t, h.http, h.p.eventsURL("channel=honest"), "Last-Event-ID", position)
	if err != nil {
		h.fail("a client cannot come back: %v", err)
		return
	}
	defer back.close()
	if e, ok := h.next(back); !ok || e.name != "gateway.ready" {
		h.fail("a client that comes back gets %+v, %v", e, ok)
		return
	}
	for i := from; i <= to; i++ {
		if e, ok := h.next(back); !ok || e.data != strconv.Itoa(i) {
			h.fail("a client that comes back gets %+v, %v as event %d", e, ok, i)
			return
		}
	}
	h.resumed.Add(1)
}

// next returns the next event of a client, unless the gateway left alone delivers
// maxFreeze meanwhile. That one itself has a minute.
func (h *honest) next(c *client) (event, bool) {
	var hang <-chan time.Time
	var aloneDone chan struct{}
	frozen := func() bool { return false }
	if h.alone == nil {
		hang = time.After(time.Minute)
	} else {
		most := h.alone.received.Load() + maxFreeze
		aloneDone = h.alone.done
		frozen = func() bool { return h.alone.received.Load() >= most }
	}
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case e, ok := <-c.events:
			return e, ok
		case <-hang:
			return event{}, false
		case <-aloneDone:
			return event{}, false
		case <-look.C:
			if frozen() {
				return event{}, false
			}
		}
	}
}

// requireUndisturbed checks that every event arrived, that clients that came back got
// what they had missed, and that both was and is about as quick as on a gateway left
// alone.
func (h *honest) requireUndisturbed() {
	h.t.Helper()
	received, resumed := h.received.Load(), h.resumed.Load()
	alone := h.alone.received.Load()
	const more = 2 * resumeEvery // in which a client comes back once at least
	redistest.Eventually(h.t, 5*time.Minute, "the honest subscriber gets events and resumes", func() bool {
		return h.failed.Load() != nil || h.alone.failed.Load() != nil || h.alone.received.Load() >= alone+maxSlowdown*more ||
			h.received.Load() >= received+more && (!h.resumes || h.resumed.Load() > resumed)
	})
	got, all := h.received.Load(), h.alone.received.Load()
	h.end() // before the other one, which its waits are bounded by
	h.alone.end()
	for who, failed := range map[string]*string{"the gateway left alone": h.alone.failed.Load(), "the attacked gateway": h.failed.Load()} {
		if failed != nil {
			h.t.Errorf("%s: %s", who, *failed)
		}
	}
	h.t.Logf("honest subscriber: %d events during the attack, %d of a gateway left alone; then %d and %d; %d resumes, %d of that",
		received, alone, got-received, all-alone, h.resumed.Load(), h.alone.resumed.Load())
	if got < received+more {
		h.t.Errorf("%d events while a gateway left alone delivered %d: the honest subscriber starves", got-received, all-alone)
	}
	if alone > maxSlowdown*(received+more/2) {
		h.t.Errorf("%d events during the attack, and %d of a gateway left alone: the honest subscriber starved", received, alone)
	}
}
