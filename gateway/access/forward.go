package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access/outbound"
	"github.com/sse-gateway/sse-gateway/gateway/access/pattern"
	"github.com/sse-gateway/sse-gateway/gateway/revocation"
)

const (
	// maxLifetime is the longest lifetime that an answer can give, a year; a
	// longer one counts as that.
	maxLifetime = 365 * 24 * time.Hour
	// maxDrain is how much of an answer's body is read, in bytes, so that the
	// connection can be used again. The body means nothing.
	maxDrain = 4 << 10
	// maxChallenge bounds the WWW-Authenticate that is passed on, in bytes.
	maxChallenge = 1 << 10
)

// forward asks the application. It may be used concurrently.
type forward struct {
	// Fixed at construction.
	url     string
	client  *http.Client
	timeout time.Duration
	trusted []netip.Prefix   // proxies that are believed about the client
	slots   chan struct{}    // one element per question that is under way
	cache   *cache           // nil: off
	revoked *revocation.List // nil: off
	log     *slog.Logger

	flights flights
	down    atomic.Bool // the last answer was none
}

// verdict is the outcome of a question: a grant, or the refusal.
type verdict struct {
	grant   Grant
	refusal *Refusal // shared by all who asked; never changed
}

func newForward(c Config, log *slog.Logger) *forward {
	f := &forward{
		url:     c.AuthURL,
		client:  outbound.NewClient(outbound.NewTransport(c.AuthConcurrency)),
		timeout: c.AuthTimeout,
		trusted: c.TrustedProxies,
		slots:   make(chan struct{}, c.AuthConcurrency),
		revoked: c.Revocations,
		log:     log,
	}
	if c.AuthCacheTTL > 0 {
		f.cache = newCache(c.AuthCacheTTL, cacheSize)
	}
	return f
}

// authorize asks whether the client of r may have channels, none of which is
// public.
func (f *forward) authorize(r *http.Request, channels []string) (Grant, error) {
	if f.revoked != nil && !f.revoked.Known() {
		return Grant{}, revocationsUnknown()
	}
	q := newQuestion(r, channels, f.trusted)
	if f.cache != nil {
		if g, ok := f.cache.get(q.who); ok && !f.isRevoked(g) {
			return g, nil
		}
	}
	v, err := f.flights.do(r.Context(), q.all, func(ctx context.Context) verdict { return f.ask(ctx, q) })
	if err != nil {
		return Grant{}, unavailable("the request was cancelled", err)
	}
	switch {
	case v.refusal != nil:
		return Grant{}, v.refusal
	case f.isRevoked(v.grant):
		// The answer is older than the revocation. The next one may allow again.
		return Grant{}, unavailable("the permission was revoked while it was asked for", nil)
	}
	return v.grant, nil
}

func (f *forward) isRevoked(g Grant) bool { return f.revoked != nil && f.revoked.Revoked(g.Identity) }

// ask puts one question, once there is a free slot.
func (f *forward) ask(ctx context.Context, q question) verdict {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return f.failed(fmt.Errorf("waiting for one of %d slots: %w", cap(f.slots), ctx.Err()))
	}
	asked, known := time.Now(), int64(0)
	if f.revoked != nil {
		known = f.revoked.Count()
	}
	res, err := f.send(ctx, q)
	if err != nil {
		return f.failed(outbound.WithoutURL(err))
	}
	v, err := judge(res, q.channels, asked)
	if err != nil {
		return f.failed(err)
	}
	if subject := res.Header.Get(headerSubject); subject != "" {
		v.grant.Identity = revocation.OfAnswer(subject, known)
	}
	if f.down.CompareAndSwap(true, false) {
		f.log.Info("forward authentication answers again", "url", outbound.MaskURL(f.url))
	}
	if v.refusal == nil && f.cache != nil {
		f.cache.put(q.who, asked, v.grant)
	}
	return v
}

// send returns the response with its body done with.
func (f *forward) send(ctx context.Context, q question) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header = q.header
	res, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	_, _ = io.CopyN(io.Discard, res.Body, maxDrain)
	_ = res.Body.Close()
	return res, nil
}

// failed is the passing refusal for a question that got no usable answer. It
// logs the first of a row. A question that was dropped says nothing about the
// application.
func (f *forward) failed(cause error) verdict {
	if !errors.Is(cause, context.Canceled) && f.down.CompareAndSwap(false, true) {
		f.log.Warn("forward authentication gives no answer; clients are told to come again", "url", outbound.MaskURL(f.url), "error", cause)
	}
	return verdict{refusal: unavailable("the application that decides gives no answer", cause)}
}

// judge reads an answer. The error means that it is none.
func judge(res *http.Response, channels []string, asked time.Time) (verdict, error) {
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		refusal := badToken("the application does not know this client", nil)
		refusal.Challenge = challenge(res.Header.Get("WWW-Authenticate"))
		return verdict{refusal: refusal}, nil
	case res.StatusCode == http.StatusForbidden:
		return verdict{refusal: forbidden("the application does not allow these channels")}, nil
	case res.StatusCode < 200 || res.StatusCode > 299:
		return verdict{}, fmt.Errorf("status %d; expected is 2xx, 401 or 403", res.StatusCode)
	}
	if lists := res.Header.Values(headerAllowed); len(lists) > 0 {
		allowed := pattern.ParseValid(strings.Split(strings.Join(lists, ","), ","))
		for _, ch := range channels {
			if !allowed.Match(ch) {
				return verdict{refusal: forbidden(fmt.Sprintf("the application does not allow channel %q", ch))}, nil
			}
		}
	}
	expires, err := lifetime(res.Header.Values(headerLifetime), asked)
	return verdict{grant: Grant{Expires: expires}}, err
}

// lifetime reads when the grant ends; zero if the answer does not say.
func lifetime(values []string, asked time.Time) (time.Time, error) {
	if len(values) == 0 {
		return time.Time{}, nil
	}
	s := strings.TrimSpace(values[0])
	n, err := strconv.ParseUint(s, 10, 63)
	if errors.Is(err, strconv.ErrRange) {
		n, err = uint64(maxLifetime/time.Second), nil
	}
	if err != nil || n == 0 || len(values) > 1 {
		return time.Time{}, errors.New(headerLifetime + " is not one whole number of seconds from 1 on")
	}
	return asked.Add(time.Duration(min(n, uint64(maxLifetime/time.Second))) * time.Second), nil
}

// challenge returns what may be passed on of a WWW-Authenticate.
func challenge(s string) string {
	if len(s) > maxChallenge {
		return ""
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return ""
		}
	}
	return s
}
