package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/singleflight"

	"github.com/sse-gateway/sse-gateway/gateway/access/outbound"
)

// The times and bounds of the JWK set. Those of the schedule are jittered by ±20 %.
const (
	Interval = 10 * time.Minute // between fetches, while they succeed
	retryMin = time.Second      // after the first failed one, doubled each time
	RetryMax = time.Minute      // between fetches at most, while they fail
	Timeout  = 5 * time.Second  // of one fetch; a request may wait that long
	// MinAge is how old the last fetch must be for an unknown key id to
	// cause another. Anyone can send one, so it must not be short; a key that
	// signs sooner than this after it was published is refused.
	MinAge  = 10 * time.Second
	MaxBody = 1 << 20 // bytes
	MaxKeys = 100     // a token without kid is tried with each that fits
)

// Remote are the keys of a JWK set. Reading goes on with the last good set
// for as long as the server is away.
type Remote struct {
	// Fixed at construction.
	url    string
	client *http.Client
	log    *slog.Logger
	keys   *keySet
	byKid  keyfunc.Keyfunc

	flight singleflight.Group // one fetch at a time, shared by all who need it

	// Owned by the fetch that is under way.
	fetched time.Time // end of the last fetch; zero: there was none
	err     error     // its result
}

// NewRemote returns the source of the JWK set at a URL, which transport fetches. It is
// fetched first when Run is called or a token needs it.
func NewRemote(rawURL string, transport http.RoundTripper, log *slog.Logger) (*Remote, error) {
	keys := &keySet{MemoryJWKSet: jwkset.NewMemoryStorage()}
	byKid, err := keyfunc.New(keyfunc.Options{Storage: keys})
	if err != nil {
		return nil, fmt.Errorf("SSE_JWKS_URL: %w", err)
	}
	return &Remote{
		url:    rawURL,
		client: outbound.NewClient(bounded{transport}),
		log:    log,
		keys:   keys,
		byKid:  byKid,
		err:    ErrUnavailable,
	}, nil
}

// Run implements Source.
func (k *Remote) Run(ctx context.Context) {
	defer k.client.CloseIdleConnections()
	retry := retryMin
	for {
		wait := Interval
		if err := k.fetch(ctx, 0); err != nil {
			wait = retry
			retry = min(2*retry, RetryMax)
		} else {
			retry = retryMin
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(jitter(wait)):
		}
	}
}

// jitter returns d ±20 %.
func jitter(d time.Duration) time.Duration { return d - d/5 + rand.N(2*d/5) }

// fetch gets the set, unless the last fetch ended less than minAge ago, and
// returns how it, or that last one, went. The fetch is not the caller's: it
// goes on if ctx ends, so that nobody can use up the rate by going away.
func (k *Remote) fetch(ctx context.Context, minAge time.Duration) error {
	done := k.flight.DoChan("", func() (any, error) {
		if !k.fetched.IsZero() && time.Since(k.fetched) < minAge {
			return nil, k.err
		}
		err := k.get()
		k.report(err)
		k.fetched, k.err = time.Now(), err
		return nil, err
	})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case res := <-done:
		return res.Err
	}
}

// get replaces the keys by those that the server has. Without RefreshInterval
// NewStorageFromHTTP is exactly one bounded request and starts nothing; the
// schedule and the sharing are this file's own, because those of the library
// have no jitter and make every unknown key id wait for its own request.
func (k *Remote) get() error {
	_, err := jwkset.NewStorageFromHTTP(k.url, jwkset.HTTPClientStorageOptions{
		Client: k.client, HTTPTimeout: Timeout, Storage: k.keys,
	})
	return outbound.WithoutURL(err)
}

// report logs when the server goes away and when it is back.
func (k *Remote) report(err error) {
	switch {
	case err == nil && k.err != nil:
		k.log.Info("the keys for tokens were fetched", "url", outbound.MaskURL(k.url))
	case err != nil && (k.err == nil || k.fetched.IsZero()):
		k.log.Warn("the keys for tokens cannot be fetched; those that are known stay in use", "url", outbound.MaskURL(k.url), "error", err)
	}
}

// Reload implements Source. The set is fetched by its own schedule.
func (k *Remote) Reload() {}

// Find implements Source.
func (k *Remote) Find(ctx context.Context, t *jwt.Token) (any, error) {
	key, err := k.lookup(ctx, t)
	if !errors.Is(err, jwkset.ErrKeyNotFound) {
		return key, err
	}
	// Perhaps the key is new. If that cannot be found out, then the token is
	// not bad, only not yet known to be good.
	if err := k.fetch(ctx, MinAge); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, ErrUnavailable
	}
	if key, err = k.lookup(ctx, t); err != nil {
		return nil, ErrNone
	}
	return key, nil
}

// lookup finds keys among those that are there. The error is
// jwkset.ErrKeyNotFound if another set might hold the key.
func (k *Remote) lookup(ctx context.Context, t *jwt.Token) (any, error) {
	alg := t.Method.Alg()
	if _, ok := t.Header[jwkset.HeaderKID]; ok {
		key, err := k.byKid.KeyfuncCtx(ctx)(t)
		if err == nil && !slices.Contains(algsOf(key), alg) {
			return nil, ErrNone
		}
		return key, err
	}
	all, err := k.keys.KeyReadAll(ctx)
	if err != nil {
		return nil, err
	}
	var set jwt.VerificationKeySet
	for _, j := range all {
		if a := j.Marshal().ALG.String(); (a == "" || a == alg) && slices.Contains(algsOf(j.Key()), alg) {
			set.Keys = append(set.Keys, j.Key())
		}
	}
	if len(set.Keys) == 0 {
		return nil, jwkset.ErrKeyNotFound
	}
	return set, nil
}

// keySet is the storage that the library fills. It takes only public keys that
// are for signatures, and keeps what it has rather than become empty.
type keySet struct {
	*jwkset.MemoryJWKSet
}

// KeyReplaceAll takes a whole new set over.
func (s *keySet) KeyReplaceAll(ctx context.Context, set []jwkset.JWK) error {
	good := slices.DeleteFunc(slices.Clone(set), func(j jwkset.JWK) bool { return !forSignatures(j) })
	if len(good) == 0 || len(good) > MaxKeys {
		return fmt.Errorf("the set has %d keys, of which %d are public keys for signatures; accepted is 1 to %d",
			len(set), len(good), MaxKeys)
	}
	return s.MemoryJWKSet.KeyReplaceAll(ctx, good)
}

// forSignatures tells whether a key may check signatures. A secret or private
// key does not count: it is known to all who can read the set.
func forSignatures(j jwkset.JWK) bool {
	m := j.Marshal()
	switch {
	case m.USE != "" && m.USE != jwkset.UseSig,
		len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify):
		return false
	}
	if _, secret := j.Key().([]byte); secret {
		return false
	}
	algs := algsOf(j.Key())
	return len(algs) > 0 && (m.ALG == "" || slices.Contains(algs, m.ALG.String()))
}

// bounded limits how much of a response can be read.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, MaxBody)
	}
	return res, err
}
