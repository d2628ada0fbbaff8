package revocation

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sse-gateway/sse-gateway/metrics"
	"github.com/sse-gateway/sse-gateway/store/redistest"
)

func newTestList(max int) *List {
	return newList(&metrics.New(prometheus.NewRegistry(), metrics.Build{}).Revocations, max)
}

// streamStub counts how often it was told to end.
type streamStub struct{ revoked atomic.Int32 }

func (s *streamStub) Revoke() { s.revoked.Add(1) }

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func revokeSubject(l *List, sub string, at time.Time, life time.Duration) {
	l.Add(Revocation{Subject: SubjectKey(sub), At: at, Until: at.Add(life)})
}

// A sub revokes what was issued before it, for as long as it says.
func TestSubjectRevokesEarlierTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTestList(10)
		at := time.Date(2030, 1, 1, 0, 0, 10, 300e6, time.UTC)
		redistest.Pass(time.Until(at))
		revokeSubject(l, "u", at, time.Hour)
		second := at.Truncate(time.Second)
		for name, tt := range map[string]struct {
			id   Identity
			want bool
		}{
			"the second before":                  {OfToken("u", "", unix(second)-1, true), true},
			"the same second, whole":             {OfToken("u", "", unix(second), true), false},
			"just before":                        {OfToken("u", "", unix(at)-0.01, true), true},
			"just after":                         {OfToken("u", "", unix(at)+0.01, true), false},
			"the second after":                   {OfToken("u", "", unix(second)+1, true), false},
			"no iat":                             {OfToken("u", "", 0, false), true},
			"iat far in the past":                {OfToken("u", "", -1e300, true), true},
			"iat far in the future":              {OfToken("u", "", 1e300, true), false},
			"another subject":                    {OfToken("v", "", 0, false), false},
			"a token whose id is the subject":    {OfToken("", "u", 0, false), false},
			"nobody":                             {Identity{}, false},
			"an answer that was asked before":    {OfAnswer("u", 0), true},
			"an answer that was asked after":     {OfAnswer("u", l.Count()), false},
			"an answer about somebody else":      {OfAnswer("v", 0), false},
			"an answer that names no subject":    {OfAnswer("", 0), false},
			"a token without subject or id":      {OfToken("", "", 0, false), false},
			"subject with a token id of its own": {OfToken("u", "x", unix(second)-1, true), true},
		} {
			if got := l.Revoked(tt.id); got != tt.want {
				t.Errorf("%s: revoked %v", name, got)
			}
		}
		old := OfToken("u", "", 0, false)
		redistest.Pass(time.Hour - time.Millisecond)
		if !l.Revoked(old) {
			t.Error("it ends before its until")
		}
		redistest.Pass(time.Millisecond)
		if l.Revoked(old) {
			t.Error("it outlives its until")
		}
		revokeSubject(l, "w", time.Now(), time.Hour)
		if len(l.byKey) != 1 || len(l.byUntil) != 1 {
			t.Errorf("%d revocations are kept, want 1", len(l.byKey))
		}
	})
}

func TestTokenIsRevokedByItsID(t *testing.T) {
	l := newTestList(10)
	now := time.Now()
	l.Add(Revocation{Token: TokenKey("a"), At: now, Until: now.Add(time.Hour)})
	if !l.Revoked(OfToken("u", "a", unix(now.Add(time.Minute)), true)) || l.Revoked(OfToken("u", "b", 0, true)) || l.Revoked(OfToken("a", "", 0, true)) {
		t.Error("a jti revokes another token, or not its own")
	}
}

// A later revocation that ends sooner takes nothing back.
func TestRevocationsOfOneSubjectAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTestList(10)
		start := time.Now()
		first := OfToken("u", "", unix(start)-60, true)
		revokeSubject(l, "u", start, time.Hour)
		redistest.Pass(10 * time.Second)
		between := OfToken("u", "", unix(start)+2, true)
		revokeSubject(l, "u", time.Now(), time.Minute)
		if !l.Revoked(first) || !l.Revoked(between) {
			t.Error("one of the two does not count")
		}
		redistest.Pass(2 * time.Minute)
		if !l.Revoked(first) {
			t.Error("the second has shortened the first")
		}
		// The same stream read again, as after a failover.
		revokeSubject(l, "u", start, time.Hour)
		if !l.Revoked(first) || len(l.byUntil) != 1 {
			t.Error("what is read again makes a difference")
		}
	})
}

func TestOldestUntilIsDroppedFirst(t *testing.T) {
	const most = 100
	l := newTestList(most)
	now := time.Now()
	dropped := 0
	for _, i := range rand.Perm(10 * most) {
		dropped += l.Add(Revocation{Subject: SubjectKey(strconv.Itoa(i)), At: now, Until: now.Add(time.Hour + time.Duration(i)*time.Second)})
	}
	if dropped != 9*most || len(l.byKey) != most || len(l.byUntil) != most {
		t.Errorf("%d dropped, %d and %d kept", dropped, len(l.byKey), len(l.byUntil))
	}
	for i := range 10 * most {
		if got := l.Revoked(OfToken(strconv.Itoa(i), "", 0, false)); got != (i >= 9*most) {
			t.Errorf("%d: revoked %v", i, got)
		}
	}
}

// What was revoked when it was read already, at the start say, has no effect.
func TestExpiredRevocationIsNotKept(t *testing.T) {
	l := newTestList(10)
	s := &streamStub{}
	if w, ok := l.Watch(OfToken("u", "", 0, false), s); w == nil || !ok {
		t.Fatal("not watched")
	}
	revokeSubject(l, "u", time.Now().Add(-2*time.Hour), time.Hour)
	if len(l.byKey) != 0 || s.revoked.Load() != 0 {
		t.Errorf("%d kept, the stream was told %d times", len(l.byKey), s.revoked.Load())
	}
}

// Only the streams that are concerned end, whatever the order in which watches
// come and go.
func TestWatchedStreamsEnd(t *testing.T) {
	l := newTestList(10)
	now := time.Now()
	type watched struct {
		*streamStub
		w        *Watch
		sub, jti string
		old      bool
	}
	var all []*watched
	for i := range 300 {
		s := &watched{streamStub: &streamStub{}, sub: []string{"", "a", "b"}[i%3], jti: []string{"", "x", "y", "z"}[i%4], old: i%5 < 3}
		iat := unix(now) + 60
		if s.old {
			iat = unix(now) - 60
		}
		var ok bool
		if s.w, ok = l.Watch(OfToken(s.sub, s.jti, iat, true), s); !ok {
			t.Fatal("revoked before anything was")
		}
		all = append(all, s)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, s := range all[:100] {
		s.w.Stop()
	}
	l.Add(Revocation{Subject: SubjectKey("a"), Token: TokenKey("x"), At: now, Until: now.Add(time.Hour)})
	for i, s := range all {
		want := i >= 100 && (s.sub == "a" && s.old || s.jti == "x")
		if (s.revoked.Load() > 0) != want {
			t.Errorf("stream %d of %q, %q, old %v: told to end %d times", i, s.sub, s.jti, s.old, s.revoked.Load())
		}
	}
	for _, s := range all[100:] {
		s.w.Stop()
	}
	if len(l.watches) != 0 {
		t.Errorf("%d watches are left", len(l.watches))
	}
	if w, ok := l.Watch(OfToken("a", "", unix(now)-60, true), &streamStub{}); ok || w != nil {
		t.Error("a stream of a revoked grant is watched")
	}
	if w, ok := l.Watch(Identity{}, &streamStub{}); !ok || w != nil {
		t.Error("a stream that nothing can revoke is watched, or refused")
	}
	(*Watch)(nil).Stop()
}

// A stream that comes while its grant is revoked is refused or ended.
func TestNoStreamSlipsThrough(t *testing.T) {
	l := newTestList(1000)
	var wg sync.WaitGroup
	for i := range 500 {
		sub := strconv.Itoa(i)
		s := &streamStub{}
		wg.Go(func() {
			w, ok := l.Watch(OfToken(sub, "", 0, false), s)
			for ok && s.revoked.Load() == 0 {
				runtime.Gosched()
			}
			w.Stop()
		})
		wg.Go(func() { revokeSubject(l, sub, time.Now(), time.Hour) })
	}
	wg.Wait()
}

func BenchmarkRevoked(b *testing.B) {
	l := newTestList(MaxRevocations)
	now := time.Now()
	for i := range MaxRevocations {
		l.Add(Revocation{Subject: SubjectKey(strconv.Itoa(i)), At: now, Until: now.Add(time.Hour)})
	}
	id := OfToken("nobody", "x", unix(now), true)
	for b.Loop() {
		l.Revoked(id)
	}
}
